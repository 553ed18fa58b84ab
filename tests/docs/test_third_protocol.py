"""A third protocol is the one file and the one line that the page shows."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import pytest

from tests.docs.doc_pages import THIRD_PROTOCOL, parse_blocks
from tests.docs.doc_runner import can_run_pages, run_page
from tests.support import ROOT, clean_environment

pytestmark = [pytest.mark.long, pytest.mark.skipif(not can_run_pages, reason="the pages are typed in bash, with curl")]

REGISTRY_START = "PROTOCOLS = {\n"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the package with the page's file and line."""
    clone = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "minwallet", clone / "minwallet")
    module, line = re.findall(r"^```python\n(.*?)^```$", THIRD_PROTOCOL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (clone / "minwallet/protocols/pico.py").write_text(module, "utf-8")
    registry = clone / "minwallet/protocols/registry.py"
    known = registry.read_text("utf-8")
    assert REGISTRY_START in known
    registry.write_text(known.replace(REGISTRY_START, REGISTRY_START + line), "utf-8")
    return clone


def test_the_protocol_of_the_page_moves_money(clone: Path, tmp_path: Path) -> None:
    """The page's bets, retries, wins, cancels and refusals work at a server with the protocol."""
    program = clone / "program"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={clone} exec {shlex.quote(sys.executable)} -m minwallet "$@"\n')
    program.chmod(0o755)
    assert run_page(THIRD_PROTOCOL, tmp_path, program) == len(parse_blocks(THIRD_PROTOCOL.read_text("utf-8")))


def test_the_demo_plays_the_protocols_of_its_provider(clone: Path, tmp_path: Path) -> None:
    """A third protocol in the registry does not stop it."""
    options = ["--port", "0", "--provider-port", "0", "--rounds", "1", "--no-browser"]
    command = [sys.executable, "-m", "minwallet", "demo", *options]
    env = clean_environment(PYTHONPATH=str(clone), PYTHONUNBUFFERED="1")
    with subprocess.Popen(command, stdout=PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, env=env) as demo:
        assert demo.stdout
        printed = []
        for line in demo.stdout:
            printed.append(line)
            if "The log of provider calls follows" in line:
                demo.send_signal(signal.SIGINT)
                break
        else:
            pytest.fail("".join(printed))


def test_the_protocol_of_the_page_is_in_order(clone: Path) -> None:
    """Style, types and imports are valid."""
    shutil.copy(ROOT / "pyproject.toml", clone)
    module = clone / "minwallet/protocols/pico.py"
    for tool in (["ruff", "check", module], ["ruff", "format", "--check", module], ["lint-imports"]):
        _run_tool(clone, *tool)
    # Beside the package that `make lint` has looked at, of which it need not look at anything again.
    _run_tool(ROOT, "mypy", "--strict", shutil.copy(module, clone))


def _run_tool(folder: Path, tool: str, *arguments: object) -> None:
    command = [str(Path(sys.executable).with_name(tool)), *map(str, arguments)]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
