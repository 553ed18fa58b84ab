"""The pages for contributors match the code: tree, functions, layers, paths and make targets."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minwallet.protocols.packages import find_own_packages
from minwallet.protocols.protocol_checks import OPTIONAL_PARTS
from minwallet.protocols.registry import load_protocol
from tests.docs.doc_pages import display_path
from tests.support import ROOT

pytestmark = pytest.mark.long

PACKAGE = ROOT / "minwallet"

ARCHITECTURE = ROOT / "docs/architecture.md"

CONTRIBUTOR_PAGES = [
    ROOT / "CONTRIBUTING.md",
    ARCHITECTURE,
    ROOT / "docs/glossary.md",
    ROOT / "docs/testing.md",
    ROOT / "docs/third-protocol.md",
    *sorted(ROOT.glob("docs/decisions/*.md")),
]

UNCHECKED_PATHS = {"dist/", "minwallet.toml"}
"""Paths that the reader creates."""

TREE_LINE = re.compile(r"^( *)([\w.]+/?) {2,}(\S.*)$")

PATH = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|sql|html|css|js|json|md|toml|yml)|(?:[\w.-]+/)+[\w.-]*)`")


def test_the_tree_shows_every_module() -> None:
    """Each module and folder of the package has one line in the tree; the tree has no other line."""
    shown, real = _read_tree(), _list_package()
    missing = "".join(f"\n  missing: {path}" for path in sorted(real - set(shown)))
    superfluous = "".join(f"\n  superfluous: {path}" for path in sorted(set(shown) - real))
    assert shown, "the page has no tree"
    assert not missing + superfluous, f"change the tree in {display_path(ARCHITECTURE)}:{missing}{superfluous}"
    assert len(shown) == len(set(shown)), "a path is in the tree twice"


def test_the_way_of_a_bet_names_real_functions() -> None:
    """Each row of the table names a file, and functions, classes or triggers that the file defines."""
    rows = re.findall(r"^\| [^|]+ \| `([\w/.]+)` \| (.+) \|$", ARCHITECTURE.read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 15
    unknown = [
        f"{name} is not in {file}"
        for file, cell in rows
        for dotted in re.findall(r"`([\w.]+)`", cell)
        for name in dotted.split(".")
        if not re.search(rf"\b(?:def|class|TRIGGER) {name}\b", (PACKAGE / file).read_text("utf-8"))
    ]
    assert unknown == []


def test_the_page_shows_the_layers() -> None:
    """The page and import-linter have the same order, and import-linter knows every package."""
    (contract,) = [each for each in _read_contracts() if each["type"] == "layers"]
    assert contract["exhaustive"]
    shown = " ".join(ARCHITECTURE.read_text("utf-8").split())
    assert " → ".join(contract["layers"]) in shown


def _list_protocol_modules() -> dict[str, str]:
    """Return the modules of minwallet's protocols and of their parts, with `class` or the name of the part."""
    modules = {each.entry_point.module: "class" for each in find_own_packages()}
    for package in find_own_packages():
        for part in OPTIONAL_PARTS:
            if target := getattr(load_protocol(package.protocol), part):
                modules[target.partition(":")[0]] = part
    return modules


def test_the_import_rules_cover_every_protocol() -> None:
    """No module imports a protocol of minwallet's entry points or an optional part of one, except by name."""
    modules = _list_protocol_modules()
    protected = {module for each in _read_contracts() for module in each.get("protected_modules", ())}
    assert set(modules) <= protected
    independent = {module for each in _read_contracts() for module in each.get("modules", ())}
    assert {module for module, part in modules.items() if part in {"class", "operator_service"}} == independent


def test_no_module_knows_the_name_of_a_protocol() -> None:
    """What a command does depends on what a protocol declares. Only the protocol and its parts contain its name."""
    names = {each.protocol for each in find_own_packages()}
    own = {PACKAGE.parent / f"{module.replace('.', '/')}.py" for module in _list_protocol_modules()}
    found = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in sorted({*PACKAGE.rglob("*.py")} - own)
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert found == []


@pytest.mark.parametrize("page", CONTRIBUTOR_PAGES, ids=display_path)
def test_the_paths_of_a_page_exist(page: Path) -> None:
    """A path in code style is a file or a folder of the repository or of the package."""
    found = {match[1] for match in PATH.finditer(page.read_text("utf-8"))} - UNCHECKED_PATHS
    missing = [path for path in sorted(found) if "NAME" not in path and "NOUN" not in path and not _exists(path)]
    assert missing == []


@pytest.mark.parametrize("page", CONTRIBUTOR_PAGES, ids=display_path)
def test_the_make_targets_of_a_page_exist(page: Path) -> None:
    """Each `make TARGET` of a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"(?:^|`)make ([\w./-]+)", page.read_text("utf-8"), re.MULTILINE))
    assert [name for name in sorted(named) if f"\n{name}:" not in makefile] == []


def test_the_contributing_page_names_every_make_target() -> None:
    """A contributor finds each public target of the Makefile on one page."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = {name for line in re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE) for name in line.split()}
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [name for name in sorted(targets) if f"`make {name}`" not in page] == []


def test_the_glossary_is_sorted_and_complete() -> None:
    """The terms are in alphabetical order, and each term in italics has its own line."""
    rows = re.findall(r"^\| (?!term \|)(.+?) \| (.+) \|$", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) > 50
    terms = [term.casefold() for term, _ in rows]
    assert terms == sorted(terms)
    known = {name for term in terms for name in term.split(", ")}
    used = {term.casefold() for _, meaning in rows for term in re.findall(r"\*([^*]+)\*", meaning)}
    assert [term for term in sorted(used) if term not in known and term.removesuffix("s") not in known] == []


def _read_tree() -> list[str]:
    """Return the paths of the tree, relative to the package; a folder ends with a slash.

    A path that has no description is left out, so it is reported as missing.
    """
    block = next(each for each in ARCHITECTURE.read_text("utf-8").split("```") if each.startswith("text\nminwallet/"))
    folders: list[str] = []
    paths = []
    for line in block.splitlines()[2:]:
        if found := TREE_LINE.match(line):
            depth, name = len(found[1]) // 2 - 1, found[2]
            folders = folders[:depth]
            paths.append("".join(folders) + name)
            if name.endswith("/"):
                folders.append(name)
    return paths


def _list_package() -> set[str]:
    """Return every module and folder of the package; the line of a folder stands for its `__init__.py`."""
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()]
    files = [path for path in files if "__pycache__" not in path.parts]
    modules = {str(path) for path in files if path.suffix == ".py" and path.name != "__init__.py"}
    return modules | {f"{folder}/" for path in files for folder in path.parents if folder != Path()}


def _read_contracts() -> list[dict[str, Any]]:
    """Return the contracts of import-linter."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    contracts: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def _exists(path: str) -> bool:
    """Return whether a page may name the path: relative to the repository, the package, or any folder below it."""
    return any(candidate.exists() for candidate in _iter_candidates(path))


def _iter_candidates(path: str) -> Iterator[Path]:
    yield from (ROOT / path, PACKAGE / path, ROOT / "docs" / path, ROOT / "tests" / path)
    if "/" not in path.rstrip("/"):
        yield from PACKAGE.rglob(path.rstrip("/"))
