"""However a command is ended, it tidies up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def tidily() -> Iterator[None]:
    """Within the block, SIGTERM and SIGHUP do what Ctrl-C does, so that nothing half done is left behind."""
    ends = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL]
    for number in ends:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number in ends:
            signal.signal(number, signal.SIG_DFL)
