"""The pages of the documentation, as what their blocks tell a reader to type and to expect.

A ```console block is what a terminal shows: a line with `$ ` begins a command, lines with `> ` go on with it, and what
follows is what it prints, `…` standing for anything (a line of nothing else, for any lines). `^C` stops the newest
program that still runs in another terminal. A ```sh block is commands whose output is not shown. Where the last command
of a console block is one that runs until it is stopped, the block is another terminal.
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
    """What is typed, in which line of the page, and the lines that it prints; None where the page does not say."""

    line: int
    text: str
    expected: Sequence[str] | None

    @property
    def is_long_running(self) -> bool:
        return LONG_RUNNING.match(self.text) is not None


class DocBlock(NamedTuple):
    """A block, in which line it begins, and the commands in it; those of SKIPPED_LINES are left out."""

    line: int
    commands: Sequence[DocCommand]

    @property
    def background_command(self) -> DocCommand | None:
        """The command that runs until it is stopped, if the block is another terminal."""
        typed = [command for command in self.commands if command.text != CTRL_C]
        return typed[-1] if typed and typed[-1].is_long_running else None


def parse_blocks(text: str) -> list[DocBlock]:
    """All blocks of a page that tell what to type. ValueError for one that nobody can run or compare."""
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
    """The commands of a console block that begins at `line`."""
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
    """The commands of a sh block, as one."""
    run = [each for each in lines if not each.startswith(tuple(SKIPPED_LINES))]
    if any(LONG_RUNNING.match(each) for each in run):
        raise ValueError(f"line {line}: what runs until it is stopped stands in a console block, with what it prints")
    if any(run):
        yield DocCommand(line + 1, "\n".join(run), None)


def display_path(page: Path) -> str:
    """The page's path as people write it."""
    return str(page.relative_to(ROOT)) if page.is_relative_to(ROOT) else page.name
