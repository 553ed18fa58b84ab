"""The documentation is correct: each page is typed from its first line to its last."""

import re
from pathlib import Path

import pytest

from tests.cli.cli_assertions import MINWALLET_SCRIPT
from tests.docs.doc_pages import PAGES, SKIPPED_LINES, THIRD_PROTOCOL, display_path, parse_blocks
from tests.docs.doc_runner import can_run_pages, run_page
from tests.support import ROOT

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not can_run_pages, reason="the pages are typed in bash, with curl"),
]


@pytest.mark.parametrize("page", [page for page in PAGES if page != THIRD_PROTOCOL], ids=display_path)
def test_a_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    """All commands run in order, and each prints what the page shows."""
    blocks = re.findall(r"^ *```(?:console|sh)$", page.read_text("utf-8"), re.MULTILINE)
    # A service is handed a socket, which only the real program takes.
    program = MINWALLET_SCRIPT if page.name == "operate.md" else None
    assert run_page(page, tmp_path, program) == len(blocks)


def test_each_skipped_line_is_in_the_readme() -> None:
    """The list of skipped lines has no outdated line."""
    readme = (ROOT / "README.md").read_text("utf-8")
    assert [line for line in SKIPPED_LINES if f"\n{line}" not in readme] == []


WRONG_BLOCKS = [
    ("$ echo one\ntwo", "line 2: $ echo one\nexpected\ntwo\ncame\none"),
    ("$ echo one", "line 2: $ echo one\nexpected\ncame\none"),
    ("$ true\nout", "line 2: $ true\nexpected\nout\ncame"),
    ("$ echo one; echo two\none", "came\none\ntwo"),
    ("$ cat <<END\n> $((1 + 1))\n> END\n3", "came\n2"),
    ("$ exit", "ended the shell"),
    ("$ if", "syntax error"),
    ("$ minwallet serve", "shows no line to wait for"),
    ("$ minwallet serve --port no\nserves", "invalid --port 'no'"),
    ("^C", "nothing runs"),
    ("one", "line 2: a console block begins with a command"),
]


@pytest.mark.parametrize(("block", "words"), WRONG_BLOCKS, ids=[block for block, _ in WRONG_BLOCKS])
def test_a_mismatch_names_its_place(block: str, words: str, tmp_path: Path) -> None:
    """The error has the line, the command, the expected and the real output."""
    page = tmp_path / "page.md"
    page.write_text(f"```console\n{block}\n```\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?s)^page\.md: .*" + re.escape(words)):
        run_page(page, tmp_path)


def test_ctrl_c_stops_what_runs_in_another_terminal(tmp_path: Path) -> None:
    """It stops the newest program first. The end of the page stops all."""
    page = tmp_path / "page.md"
    begin = "```console\n$ echo one > log\n$ echo two > other\n$ tail -f log\none\n```\n"
    page.write_text(f"{begin}```console\n$ tail -f other\ntwo\n^C\n```\n```console\n^C\n^C\n```\n", "utf-8")
    with pytest.raises(AssertionError, match="nothing runs that Ctrl-C could stop"):
        run_page(page, tmp_path)


def test_each_command_of_a_script_has_to_succeed(tmp_path: Path) -> None:
    """This holds for each command, not only the last. The error names the page and the command."""
    page = tmp_path / "page.md"
    page.write_text("```sh\ntrue || false\nls nowhere\necho on\n```\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?s)page\.md: line 2: .*failed: ls nowhere"):
        run_page(page, tmp_path)


def test_commands_stand_in_blocks_that_are_read(tmp_path: Path) -> None:
    """A block of commands with another name would never be run."""
    page = tmp_path / "page.md"
    for fence in ("bash\nls", "\n$ ls"):
        page.write_text(f"```{fence}\n```\n", "utf-8")
        with pytest.raises(ValueError, match="```console or ```sh"):
            parse_blocks(page.read_text("utf-8"))
