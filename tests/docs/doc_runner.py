"""The run of one page: an empty folder, a home, programs on PATH, and all commands of the page in order."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docs.doc_pages import display_path, parse_blocks
from tests.docs.doc_terminal import DocMismatch, open_session
from tests.docs.fast_cli import fast_program
from tests.support import ROOT, clean_environment

can_run_pages = all(map(shutil.which, ("bash", "curl")))

STUB_PROGRAMS = ROOT / "tests/docs/bin"
"""Programs in the place of those that would change the machine."""


@contextmanager
def _install_program(folder: Path, program: str | Path | None) -> Iterator[None]:
    """Put a `minwallet` into the folder: the given program, or a fast one with the same behaviour."""
    if program:
        (folder / "minwallet").symlink_to(Path(program).absolute())
        yield
    else:
        with fast_program(folder):
            yield


PORT_SETTING = re.compile(r"MINWALLET_PORT|^ *port *=", re.MULTILINE)


def run_page(page: Path, folder: Path, program: str | Path | None = None) -> int:
    """Type all commands of a page in a new folder. Return the number of blocks.

    Raise AssertionError, with file and line, if the output differs. `minwallet` is the given program, or the one in
    the variable DOCS_PROGRAM, such as the built pex file.
    """
    home, work_dir, programs = folder / "home", folder / "here", folder / "programs"
    for each in (home, work_dir, programs):
        each.mkdir()
    (home / ".curlrc").write_text('no-progress-meter\nnoproxy = "*"\n')
    path = f"{STUB_PROGRAMS}:{programs}:{os.environ['PATH']}"
    settings = {"HOME": str(home), "PATH": path}
    if program := program or os.environ.get("DOCS_PROGRAM"):
        # A program of one file is unpacked there when it first runs, which need not be anew for each page.
        settings["PEX_ROOT"] = os.environ.get("PEX_ROOT") or str(Path.home() / ".cache/pex")
    blocks_run = 0
    try:
        blocks = parse_blocks(page.read_text("utf-8"))
        sets_port = any(PORT_SETTING.search(command.text) for block in blocks for command in block.commands)
        installed = _install_program(programs, program)
        with installed, open_session(work_dir, clean_environment(**settings), sets_port=sets_port) as terminal:
            for block in blocks:
                for command in block.commands:
                    terminal.run(command, in_background=command is block.background_command)
                blocks_run += 1
    except (DocMismatch, ValueError) as wrong:
        raise AssertionError(f"{display_path(page)}: {wrong}") from None
    return blocks_run
