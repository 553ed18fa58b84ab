"""Termination signals: a command cleans up after SIGTERM and SIGHUP as it does after Ctrl-C."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def handle_termination() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into SIGINT within the block, so that `finally` clauses remove unfinished files."""
    # A signal that the caller ignores or handles, such as SIGHUP below nohup, stays with the caller.
    handled_signals = [
        number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_DFL
    ]
    for number in handled_signals:
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        for number in handled_signals:
            signal.signal(number, signal.SIG_DFL)
