"""The documentation does what it says: each page is read from its first line to its last by somebody who types it."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.docs.pages import NOT_RUN, PAGES, blocks_of, named
from tests.docs.quick import quick_program
from tests.docs.terminal import Wrong, opened
from tests.support import ROOT, environment

can_type = all(map(shutil.which, ("bash", "curl")))

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not can_type, reason="the pages are typed in bash, with curl"),
]

STAND_INS = ROOT / "tests/docs/bin"
"""Programs in the place of those that would change the machine."""


@contextmanager
def program_in(folder: Path) -> Iterator[None]:
    """Put a `minwallet` there: the program that MINWALLET_PROGRAM names, or this one, started quickly."""
    if named := os.environ.get("MINWALLET_PROGRAM"):
        (folder / "minwallet").symlink_to(Path(named).absolute())
        yield
    else:
        with quick_program(folder):
            yield


OWN_PORT = re.compile(r"MINWALLET_PORT|^ *port *=", re.MULTILINE)


def read(page: Path, folder: Path) -> int:
    """Type all of a page in a new folder; how many blocks were typed. AssertionError tells the file and the line."""
    home, here, programs = folder / "home", folder / "here", folder / "programs"
    for each in (home, here, programs):
        each.mkdir()
    (home / ".curlrc").write_text('no-progress-meter\nnoproxy = "*"\n')
    path = f"{STAND_INS}:{programs}:{os.environ['PATH']}"
    settings = {"HOME": str(home), "PATH": path}
    typed = 0
    try:
        blocks = blocks_of(page.read_text("utf-8"))
        sets_port = any(OWN_PORT.search(command.text) for block in blocks for command in block.commands)
        with program_in(programs), opened(here, environment(**settings), sets_port=sets_port) as terminal:
            for block in blocks:
                for number, command in enumerate(block.commands, 1):
                    terminal.run(command, beside=command.is_endless and number == len(block.commands))
                typed += 1
    except (Wrong, ValueError) as wrong:
        raise AssertionError(f"{named(page)}: {wrong}") from None
    return typed


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """Every block is typed, in order, and each command prints what the page shows."""
    blocks = re.findall(r"^ *```(?:console|sh)$", page.read_text("utf-8"), re.MULTILINE)
    assert read(page, tmp_path) == len(blocks)


def test_what_is_not_run_stands_in_the_readme() -> None:
    """The list of what no page can run has nothing on it that has gone."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [line for line in NOT_RUN if f"\n{line}" not in readme] == []


WRONG = [
    ("$ echo one\ntwo", "line 2: $ echo one\nexpected\ntwo\ncame\none"),
    ("$ echo one", "line 2: $ echo one\nexpected\ncame\none"),
    ("$ true\nout", "line 2: $ true\nexpected\nout\ncame"),
    ("$ echo one; echo two\none", "came\none\ntwo"),
    ("$ cat <<END\n> $((1 + 1))\n> END\n3", "came\n2"),
    ("$ exit", "ended the shell"),
    ("$ if", "syntax error"),
    ("$ minwallet serve", "shows no line to wait for"),
    ("$ minwallet serve --port no\nserves", "Invalid value for '--port'"),
    ("^C", "nothing runs"),
    ("one", "line 2: a console block begins with a command"),
]


@pytest.mark.parametrize(("block", "words"), WRONG, ids=[block for block, _ in WRONG])
def test_a_page_that_is_wrong_says_where(block: str, words: str, tmp_path: Path) -> None:
    """Line, command, what was expected and what came."""
    page = tmp_path / "page.md"
    page.write_text(f"```console\n{block}\n```\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?s)^page\.md: .*" + re.escape(words)):
        read(page, tmp_path)


def test_each_command_of_a_script_has_to_succeed(tmp_path: Path) -> None:
    """Also one that is not the last; the page's name and the command are told."""
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue || false\nls nowhere\necho on\n```\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?s)page\.md: line 2: .*failed: ls nowhere"):
        read(page, tmp_path)


def test_commands_stand_in_blocks_that_are_read(tmp_path: Path) -> None:
    """A block of commands under another name would never be tried."""
    page = tmp_path / "page.md"
    for fence in ("bash\nls", "\n$ ls"):
        page.write_text(f"```{fence}\n```\n", "utf-8")
        with pytest.raises(ValueError, match="```console or ```sh"):
            blocks_of(page.read_text("utf-8"))
