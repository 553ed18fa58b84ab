"""Links between pages lead to existing files and headings."""

import re
from pathlib import Path

import pytest

from tests.docs.doc_pages import PAGES, display_path
from tests.support import ROOT

pytestmark = pytest.mark.long

CHECKED_FILES = [*PAGES, ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]

LINK = re.compile(r"\]\(([^)\s]+)\)")

CODE_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)


def _find_anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings, as links spell them."""
    headings = re.findall(r"^#+ (.+)$", CODE_BLOCK.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _find_broken_links(page: Path) -> list[str]:
    links = [link for link in LINK.findall(CODE_BLOCK.sub("", page.read_text("utf-8"))) if "://" not in link]
    found = [(link, page if link.startswith("#") else page.parent / link.partition("#")[0]) for link in links]
    return [link for link, target in found if not _is_valid_target(target, link.partition("#")[2])]


def _is_valid_target(target: Path, anchor: str) -> bool:
    return target.exists() and (not anchor or anchor in _find_anchors(target))


@pytest.mark.parametrize("page", CHECKED_FILES, ids=display_path)
def test_a_link_leads_somewhere(page: Path) -> None:
    """A link leads to an existing file, and to one of its headings if it names one."""
    assert _find_broken_links(page) == []


INDEXES = sorted(ROOT.glob("docs/**/README.md"))


@pytest.mark.parametrize("index", INDEXES, ids=display_path)
def test_an_index_links_each_page_of_its_folder(index: Path) -> None:
    """The README of a documentation folder links every page in it."""
    pages = {page.name for page in index.parent.glob("*.md")} - {"README.md"}
    text = index.read_text("utf-8")
    assert [page for page in sorted(pages) if f"]({page})" not in text] == []


def test_the_main_index_links_each_folder() -> None:
    """The documentation's README links the index of every folder below it."""
    text = (ROOT / "docs/README.md").read_text("utf-8")
    folders = sorted({page.parent.name for page in ROOT.glob("docs/*/*.md")})
    assert [folder for folder in folders if f"]({folder}/README.md)" not in text] == []
