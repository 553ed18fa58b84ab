"""Somebody who types a page, with everything around: an empty folder, a home, and programs on PATH."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.pages import blocks_of, named
from tests.docs.quick import quick_program
from tests.docs.terminal import Wrong, opened
from tests.support import ROOT, environment

can_type = all(map(shutil.which, ("bash", "curl")))

STAND_INS = ROOT / "tests/docs/bin"
"""Programs in the place of those that would change the machine."""


@contextmanager
def _program_in(folder: Path, program: str | Path | None) -> Iterator[None]:
    """Put a `minwallet` there: this program, or else ours, started quickly."""
    if program:
        (folder / "minwallet").symlink_to(Path(program).absolute())
        yield
    else:
        with quick_program(folder):
            yield


OWN_PORT = re.compile(r"MINWALLET_PORT|^ *port *=", re.MULTILINE)


def read(page: Path, folder: Path, program: str | Path | None = None) -> int:
    """Type all of a page in a new folder; how many blocks were typed. AssertionError tells the file and the line.

    `minwallet` is the program that is given here, or named in MINWALLET_PROGRAM, as the one file that is built.
    """
    home, here, programs = folder / "home", folder / "here", folder / "programs"
    for each in (home, here, programs):
        each.mkdir()
    (home / ".curlrc").write_text('no-progress-meter\nnoproxy = "*"\n')
    path = f"{STAND_INS}:{programs}:{os.environ['PATH']}"
    settings = {"HOME": str(home), "PATH": path}
    if program := program or os.environ.get("MINWALLET_PROGRAM"):
        # A program of one file is unpacked there when it first runs, which need not be anew for each page.
        settings["PEX_ROOT"] = os.environ.get("PEX_ROOT") or str(Path.home() / ".cache/pex")
    typed = 0
    try:
        blocks = blocks_of(page.read_text("utf-8"))
        sets_port = any(OWN_PORT.search(command.text) for block in blocks for command in block.commands)
        placed = _program_in(programs, program)
        with placed, opened(here, environment(**settings), sets_port=sets_port) as terminal:
            for block in blocks:
                for command in block.commands:
                    terminal.run(command, beside=command is block.beside)
                typed += 1
    except (Wrong, ValueError) as wrong:
        raise AssertionError(f"{named(page)}: {wrong}") from None
    return typed
