"""The pages of the documentation, parsed into the commands to type and the output to expect.

A ```console block is the text of a terminal. A line with `$ ` begins a command, and lines with `> ` continue it. The
following lines are its output. `…` stands for any text, and a line of only `…` for any lines. `^C` stops the newest
program that still runs in another terminal.

A ```sh block has commands whose output is not shown. If the last command of a console block runs until it is stopped,
the block is another terminal.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/**/*.md"))]

THIRD_PROTOCOL = ROOT / "docs/third-protocol.md"
"""The page that needs a program of its own, which test_third_protocol.py makes."""

SKIPPED_LINES = {
    "make demo": "its parts are run by tests/cli/test_demo.py",
    "make test": "it is what runs this",
}
"""Lines that no page can run as they stand, by how they begin, and why."""

LONG_RUNNING = re.compile(
    r"(?:sudo |\w+=\S* )*(?:\./)?minwallet (?:--db \S+ )?(?:serve|demo|demo-provider|tail)\b|tail -[fF] "
)
"""Commands that run until they are stopped."""

CTRL_C = "^C"

FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


class DocCommand(NamedTuple):
    """A command, its line in the page, and the expected output, or None if the page does not show it."""

    line: int
    text: str
    expected: Sequence[str] | None

    @property
    def is_long_running(self) -> bool:
        return LONG_RUNNING.match(self.text) is not None


class DocBlock(NamedTuple):
    """A block with its line in the page and its commands, without those of SKIPPED_LINES."""

    line: int
    commands: Sequence[DocCommand]

    @property
    def background_command(self) -> DocCommand | None:
        """Return the command that runs until it is stopped, if the block is another terminal."""
        typed = [command for command in self.commands if command.text != CTRL_C]
        return typed[-1] if typed and typed[-1].is_long_running else None


def parse_blocks(text: str) -> list[DocBlock]:
    """Return all blocks of a page with commands. Raise ValueError for a block that cannot be run or compared."""
    blocks = []
    for found in FENCE.finditer(text):
        indent, language, content = found.groups()
        line = text.count("\n", 0, found.start()) + 1
        lines = [each.removeprefix(indent) for each in content.splitlines()]
        if language == "console":
            blocks.append(DocBlock(line, list(_parse_console(line, lines))))
        elif language == "sh":
            blocks.append(DocBlock(line, list(_parse_script(line, lines))))
        elif language in ("bash", "shell", "zsh") or any(each.startswith("$ ") for each in lines):
            raise ValueError(f"line {line}: commands stand in blocks that begin with ```console or ```sh")
    return blocks


def _parse_console(line: int, lines: Sequence[str]) -> Iterator[DocCommand]:
    """Return the commands of a console block that begins at `line`."""
    typed: list[tuple[int, str, list[str]]] = []
    for number, each in enumerate(lines, line + 1):
        if each == CTRL_C:
            typed.append((number, CTRL_C, []))
        elif each.startswith("$ "):
            typed.append((number, each[2:], []))
        elif not typed:
            raise ValueError(f"line {number}: a console block begins with a command")
        elif each.startswith("> ") and not typed[-1][2]:
            begun, text, printed = typed[-1]
            typed[-1] = (begun, f"{text}\n{each[2:]}", printed)
        else:
            typed[-1][2].append(each)
    if not typed:
        raise ValueError(f"line {line}: the block is empty")
    return (DocCommand(*each) for each in typed)


def _parse_script(line: int, lines: Sequence[str]) -> Iterator[DocCommand]:
    """Return the commands of a sh block as one command."""
    run = [each for each in lines if not each.startswith(tuple(SKIPPED_LINES))]
    if any(LONG_RUNNING.match(each) for each in run):
        raise ValueError(f"line {line}: what runs until it is stopped stands in a console block, with what it prints")
    if any(run):
        yield DocCommand(line + 1, "\n".join(run), None)


def display_path(page: Path) -> str:
    """Return the page's path for messages."""
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
