"""Static files of the pages: unchanged third-party files with their licences, our own files, and nothing from other
hosts."""

import re
import subprocess
import sys
import tomllib
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from minwallet.web.templating import STATIC_DIR, TEMPLATES_DIR, load_assets
from tests.support import ROOT

VENDORED = tomllib.loads((STATIC_DIR / "VENDORED.toml").read_text("utf-8"))["file"]
OWN_FILES = {
    "minwallet.css",
    "minwallet.js",
    "live.js",
    "favicon.svg",
    "chevron.svg",
    "search.svg",
    "check.svg",
    "demo.css",
    "demo.js",
}


@pytest.mark.parametrize("file", VENDORED, ids=lambda file: str(file["name"]))
def test_a_vendored_file_is_unchanged(file: dict[str, str]) -> None:
    """It has the recorded hash, and its licence beside it."""
    assert sha256((STATIC_DIR / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert "permission" in (STATIC_DIR / file["text"]).read_text("utf-8").lower()
    assert all(file[name] for name in ("package", "version", "path", "licence"))


def test_every_static_file_is_accounted_for() -> None:
    """A file is ours, or is listed as a vendored file, or is a licence."""
    known = {file["name"] for file in VENDORED} | {file["text"] for file in VENDORED} | {"VENDORED.toml"}
    assert {path.name for path in STATIC_DIR.iterdir()} == known | OWN_FILES


def test_addresses_in_style_sheets_are_current() -> None:
    """Files in style sheets are named with their current hash, so that they may be cached permanently."""
    found = re.findall(r"url\(\"?([^)\"]+)\"?\)", (STATIC_DIR / "minwallet.css").read_text("utf-8"))
    assert found
    for address in found:
        name, _, version = address.partition("?v=")
        assert load_assets()[name].version == version


def test_our_files_name_no_other_host() -> None:
    """Neither templates nor our scripts and styles refer to another host."""
    for path in [*TEMPLATES_DIR.rglob("*.html"), *(STATIC_DIR / name for name in OWN_FILES)]:
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//\w+\.\w+", text), path.name


def test_templates_hold_no_code() -> None:
    """No page has inline scripts or styles, which the content policy would block silently."""
    for path in TEMPLATES_DIR.rglob("*.html"):
        text = path.read_text("utf-8")
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on|js:|<script(?![^>]+src=)", text), path.name


@pytest.mark.long
def test_the_wheel_contains_static_files_and_templates(tmp_path: Path) -> None:
    """An installed package has its pages."""
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--quiet", "--out-dir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    inside = set(zipfile.ZipFile(wheel).namelist())
    files = [*STATIC_DIR.iterdir(), *TEMPLATES_DIR.rglob("*.html")]
    assert {str(path.relative_to(ROOT)) for path in files} <= inside
