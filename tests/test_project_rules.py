"""The rules of the project: sizes, reasons for exceptions, help texts, and documents that match the code."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperCommand, TyperGroup

from minwallet import __version__
from minwallet.cli.main import app
from minwallet.config import Settings
from minwallet.protocols.packages import find_own_packages
from minwallet.protocols.registry import load_protocol
from tests.support import ROOT

pytestmark = pytest.mark.long

MODULES = sorted([*ROOT.glob("minwallet/**/*.py"), *ROOT.glob("tests/**/*.py")])
PACKAGES = sorted({path.parent for path in ROOT.glob("minwallet/**/*.py")})
README = (ROOT / "README.md").read_text("utf-8")
REFERENCE = (ROOT / "docs/reference.md").read_text("utf-8")

ROOT_GROUP = typer.main.get_group(app)

MAX_MODULE_LINES, MAX_FUNCTION_LINES = 400, 60

MAX_SHORT_HELP_WIDTH, MAX_EXAMPLE_WIDTH = 59, 76
"""The room for a command's short help, and for a line of its help, in a terminal of 80 columns."""


def iter_commands(group: TyperGroup, *path: str) -> Iterator[tuple[str, TyperCommand]]:
    """Yield the name and the object of each command."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from iter_commands(command, *path, name)
        else:
            assert isinstance(command, TyperCommand)
            yield " ".join([*path, name]), command


def parse_command_line(arguments: list[str], group: TyperGroup = ROOT_GROUP, *path: str) -> str:
    """Parse the command line with all its options, without running it. Return the name of the command."""
    context = group.make_context(" ".join(path), arguments)
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert name
    assert command
    if isinstance(command, TyperGroup):
        return parse_command_line(rest, command, *path, name)
    command.make_context(name, rest)
    return " ".join([*path, name])


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_not_too_long(module: Path) -> None:
    """A module has at most 400 lines, and a function at most 60."""
    text = module.read_text("utf-8")
    assert text.count("\n") <= MAX_MODULE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < MAX_FUNCTION_LINES, node.name


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_exception_from_a_rule_has_its_reason(module: Path) -> None:
    """A comment that silences a tool states the reason."""
    for line in module.read_text("utf-8").splitlines():
        found = re.search(r"#\s*(?:noqa: [A-Z0-9, ]+|type: ignore\[[\w, -]+\]|pragma: no cover)(.*)", line)
        if found and "re.search" not in line:
            assert len(found[1].strip(" #")) > 10, line


@pytest.mark.parametrize("room", PACKAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_each_module_has_a_docstring(room: Path) -> None:
    """Each module of the package begins with a docstring."""
    for module in room.glob("*.py"):
        assert ast.get_docstring(ast.parse(module.read_text("utf-8"))), module


@pytest.mark.parametrize(("name", "command"), [*iter_commands(ROOT_GROUP)])
def test_a_command_has_help_with_an_example(name: str, command: TyperCommand) -> None:
    """Every command has help whose last paragraph is a valid example, and a section in the reference."""
    example = (command.help or "").rpartition("\n\n")[2]
    assert example.startswith("Example: minwallet ")
    assert len(example) <= MAX_EXAMPLE_WIDTH, "the terminal would wrap the example"
    assert parse_command_line(shlex.split(example)[2:]) == name
    assert f"\n### {name}\n" in REFERENCE


@pytest.mark.parametrize(("name", "command"), [*iter_commands(ROOT_GROUP)])
def test_the_first_sentence_of_the_help_fits_into_the_list_of_commands(name: str, command: TyperCommand) -> None:
    """`minwallet --help` shows the first sentence of each command's help without cutting it off."""
    assert not command.get_short_help_str(MAX_SHORT_HELP_WIDTH).endswith("..."), name
    assert (command.help or "").partition("\n\n")[0].count(".") == 1


def test_the_reference_lists_the_settings() -> None:
    """The table of settings in the reference matches the code, with its defaults."""
    for name, field in Settings.model_fields.items():
        value = str(field.default).lower() if isinstance(field.default, bool) else field.default
        default = f"`{value}`" if value not in ("", ()) else ""
        row = f"| `MINWALLET_{name.upper()}` | {default} |".replace("|  |", "| |")
        assert row in REFERENCE, row
    assert REFERENCE.count("| `MINWALLET_") == len(Settings.model_fields)


LONGEST_README = 160


def test_the_readme_stays_short() -> None:
    """The README has at most 160 lines; details belong to the pages of docs/."""
    assert README.count("\n") <= LONGEST_README


def test_the_readme_begins_with_two_commands() -> None:
    """The README begins with `make demo` and `make test`, and both targets exist."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    first_block = README.split("```")[1]
    targets = re.findall(r"^make (\w+)", first_block, re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(f"\n{target}:" in makefile for target in targets)


def test_each_claim_of_security_names_its_tests() -> None:
    """Each claim of SECURITY.md names existing tests, or says that it is not tested."""
    claims = re.findall(r"^\| (?!against|---)(.+) \|$", (ROOT / "SECURITY.md").read_text("utf-8"), re.MULTILINE)
    assert len(claims) > 10
    for claim in claims:
        proof = claim.rpartition("|")[2]
        named = re.findall(r"`(tests/[\w/.]+)`", proof)
        assert named or proof.strip() == "not tested", claim
        assert [each for each in named if not (ROOT / each).exists() and each != "tests/faults/"] == []


def test_the_changelog_begins_with_the_newest_version() -> None:
    """The changelog's first section is `Unreleased` or the version of the package."""
    first = re.search(r"^## \[?([\w.]+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert first is not None
    assert first[1] in ("Unreleased", __version__)


def test_each_dependency_has_its_reason() -> None:
    """A comment beside each dependency states why it is needed."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for requirement in tomllib.loads(text)["project"]["dependencies"]:
        line = next(line for line in text.splitlines() if f'"{requirement}"' in line)
        assert len(line.partition("#")[2].strip()) > 10, line


def test_each_module_of_protocols_is_shared_or_a_protocol() -> None:
    """The entry points name every protocol, and a protocol its operator service. No module is left over."""
    shared = {"__init__", "operator_service", "packages", "parsing", "protocol_checks", "registry", "wire"}
    files = {path.stem for path in (ROOT / "minwallet/protocols").glob("*.py")} - shared
    services = [load_protocol(each.protocol).operator_service for each in find_own_packages()]
    modules = [
        *(each.entry_point.module for each in find_own_packages()),
        *(path.partition(":")[0] for path in services if path),
    ]
    assert files == {module.rpartition(".")[2] for module in modules}
