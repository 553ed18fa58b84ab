"""`minwallet demo` opens its page for a person at a terminal, in a graphical browser."""

import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import TIMEOUT_S, clean_environment

pytestmark = pytest.mark.long


class DemoTerminal:
    """`minwallet demo` on a terminal. `browser` is the value of `BROWSER`; SCRIPT stands for a script that records what
    it opens.
    """

    def __init__(self, folder: Path, browser: str, *options: str) -> None:
        self.opened = folder / "opened.txt"
        script = folder / "browser"
        script.write_text(f'#!/bin/sh\necho "$1" > "{self.opened}.new"\nmv "{self.opened}.new" "{self.opened}"\n')
        script.chmod(0o755)
        self._leader, follower = pty.openpty()
        command = [sys.executable, "-m", "minwallet", "demo", "--port", "0", "--provider-port", "0", "--rounds", "0"]
        own = clean_environment(TMPDIR=str(folder), BROWSER=browser.replace("SCRIPT", str(script)))
        self.process = subprocess.Popen([*command, *options], stdin=follower, stdout=follower, stderr=follower, env=own)
        os.close(follower)

    def read(self) -> str:
        """Return the output up to the end of the start."""
        said = b""
        while b"Ctrl-C" not in said:
            said += os.read(self._leader, 4096)
        return said.decode()

    def stop(self) -> None:
        self.process.terminate()
        while self.process.poll() is None:
            try:
                os.read(self._leader, 4096)
            except OSError:
                break
        assert self.process.wait(TIMEOUT_S) == 0
        os.close(self._leader)


@contextmanager
def open_demo_terminal(folder: Path, browser: str, *options: str) -> Iterator[DemoTerminal]:
    terminal = DemoTerminal(folder, browser, *options)
    try:
        yield terminal
    finally:
        terminal.stop()


def test_the_page_opens(tmp_path: Path) -> None:
    """The opened URL is the first one that the command prints."""
    with open_demo_terminal(tmp_path, "SCRIPT %s &") as terminal:
        address = re.search(r"http://\S+", terminal.read())
        assert address
        assert address[0].endswith("/demo")
        deadline = time.monotonic() + TIMEOUT_S
        while not terminal.opened.exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert terminal.opened.read_text().strip() == address[0]


@pytest.mark.parametrize(("browser", "options"), [("SCRIPT %s &", ["--no-browser"]), ("SCRIPT %s", []), ("SCRIPT", [])])
def test_no_browser_opens(tmp_path: Path, browser: str, options: list[str]) -> None:
    """The option, or a browser that would take over the terminal, prevents it."""
    with open_demo_terminal(tmp_path, browser, *options) as terminal:
        assert "/demo" in terminal.read()
    assert not terminal.opened.exists()


def test_a_script_gets_no_browser(tmp_path: Path) -> None:
    """Without a terminal, no page opens."""
    opened = tmp_path / "opened.txt"
    own = clean_environment(TMPDIR=str(tmp_path), BROWSER=f"touch {opened} %s &")
    command = [sys.executable, "-m", "minwallet", "demo", "--port", "0", "--provider-port", "0", "--rounds", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        process.terminate()
        assert process.wait(TIMEOUT_S) == 0
    assert not opened.exists()
