"""`minwallet demo` as a process."""

import re
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.forkserver import start_minwallet
from tests.support import TIMEOUT_S, InProcessCli, clean_environment

FREE_PORTS = ("--port", 0, "--provider-port", 0)


class DemoProcess:
    """`minwallet demo` as a process, by default on free ports, with its output."""

    def __init__(
        self,
        folder: Path,
        *options: object,
        db: Path | None = None,
        ports: Sequence[object] = FREE_PORTS,
        **settings: str,
    ) -> None:
        self.folder = folder
        self.out, self.err = folder / "out.txt", folder / "err.txt"
        chosen = [] if db is None else ["--db", db]
        command = [*chosen, "demo", *ports, *options]
        with self.out.open("w") as stdout, self.err.open("w") as stderr:
            self.process = start_minwallet(
                command, stdout=stdout, stderr=stderr, env=clean_environment(TMPDIR=str(folder), **settings)
            )

    def wait_until_ready(self) -> str:
        """Wait until the demo is ready, and return all its output."""
        deadline = time.monotonic() + TIMEOUT_S
        while "Ctrl-C" not in (said := self.out.read_text()):
            assert time.monotonic() < deadline, self.err.read_text()
            assert self.process.poll() is None, self.err.read_text()
            time.sleep(0.02)
        return said

    @property
    def page_url(self) -> str:
        """Wait until the demo is ready, and return the URL of its page."""
        return self._find_only(r"page +(\S+)")

    @property
    def cli(self) -> InProcessCli:
        """Return a command line on the demo's file."""
        return InProcessCli(Path(self._find_only(r"export MINWALLET_DB=(\S+)")))

    def _find_only(self, pattern: str) -> str:
        (found,) = re.findall(pattern, self.wait_until_ready())
        return str(found)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)


@contextmanager
def run_demo(
    folder: Path, *options: object, db: Path | None = None, ports: Sequence[object] = FREE_PORTS, **settings: str
) -> Iterator[DemoProcess]:
    """Run a demo until the end of the block."""
    demo = DemoProcess(folder, *options, db=db, ports=ports, **settings)
    try:
        yield demo
    finally:
        demo.stop()
