"""The page on protocols: its package works as the page shows it, and its code is the code that exists."""

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from minwallet.ledger.commands import GameCommand
from minwallet.ledger.entries import Refusal
from minwallet.protocols.wire import SignatureScheme, WireProtocol
from minwallet.scaffold import TEMPLATE, render_package
from tests.cli.cli_assertions import MINWALLET_SCRIPT
from tests.docs.doc_pages import THIRD_PROTOCOL, parse_blocks
from tests.docs.doc_runner import can_run_pages, run_page
from tests.support import ROOT, clean_environment

PYTHON_BLOCKS = re.findall(r"^```python\n(.*?)^```$", THIRD_PROTOCOL.read_text("utf-8"), re.MULTILINE | re.DOTALL)

ORBIT = ROOT / "sample_data/orbit/minwallet_orbit.py"

NOVA = ROOT / "sample_data/nova"

SHOWN_FILES = (
    TEMPLATE / "minwallet_pico.py",
    TEMPLATE / "test_pico.py",
    ORBIT,
    NOVA / "minwallet_nova.py",
    NOVA / "minwallet_nova_parts.py",
)

(TEST_OF_THE_PAGE,) = (block for block in PYTHON_BLOCKS if "def test_a_bet_of_the_whole_balance" in block)


def test_the_page_shows_the_whole_module_of_the_template() -> None:
    """The page explains the module that `minwallet protocol new pico` writes."""
    assert PYTHON_BLOCKS[0] == (TEMPLATE / "minwallet_pico.py").read_text("utf-8")


@pytest.mark.parametrize("number", range(len(PYTHON_BLOCKS)))
def test_each_piece_of_code_is_in_a_file(number: int) -> None:
    """The pieces of orbit, nova and pico's test are the files' own text. The page's test is a program of its own."""
    is_own = PYTHON_BLOCKS[number] == TEST_OF_THE_PAGE
    assert is_own or any(PYTHON_BLOCKS[number] in file.read_text("utf-8") for file in SHOWN_FILES)


def test_the_page_shows_the_beginning_of_the_golden_pairs() -> None:
    """The example of golden pairs is the beginning of the template's file."""
    (shown,) = re.findall(r"^```json\n(.*?) *…\n```$", THIRD_PROTOCOL.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert (TEMPLATE / "pico.json").read_text("utf-8").startswith(shown)


def test_the_page_describes_all_attributes_and_methods() -> None:
    """Each public name of the interface is in the page."""
    text = THIRD_PROTOCOL.read_text("utf-8")
    for each in (WireProtocol, SignatureScheme):
        names = {name for name in [*vars(each), *each.__annotations__] if not name.startswith("_")}
        assert {name for name in names if f"`{name}`" not in text} == set()


@pytest.mark.long
@pytest.mark.skipif(not can_run_pages, reason="the pages are typed in bash, with curl")
def test_the_package_of_the_page_moves_money(tmp_path: Path) -> None:
    """The page's bets, retries, wins, cancels and refusals work at a server with the new package."""
    assert run_page(THIRD_PROTOCOL, tmp_path, MINWALLET_SCRIPT) == len(parse_blocks(THIRD_PROTOCOL.read_text("utf-8")))


def test_the_page_has_all_refusals_and_group_commands() -> None:
    """The page says of each refusal of a call whether a retry may succeed, and of each command what its content is."""
    text = THIRD_PROTOCOL.read_text("utf-8")
    operators_own = {Refusal.DEPOSIT_LIMIT}
    assert {each for each in Refusal if f"`{each}`" not in text} <= operators_own
    contents = text.partition("### Retries")[2].partition("### Rounds")[0]
    assert {each.__name__ for each in get_args(GameCommand) if f"| `{each.__name__}` |" not in contents} == set()


@pytest.mark.long
def test_the_example_of_nested_actions_keeps_the_rules_of_money() -> None:
    """The tests of nova pass, with the package's folder named only."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_nova.py"]
    env = clean_environment(MINWALLET_PLUGINS=str(NOVA))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=NOVA, env=env)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.long
def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """The tests of the new package pass, and so does the page's own test, with the package's folder named only."""
    for name, text in render_package("pico").items():
        (tmp_path / name).write_text(text, "utf-8")
    (tmp_path / "test_page.py").write_text(TEST_OF_THE_PAGE, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_pico.py", "test_page.py"]
    env = clean_environment(MINWALLET_PLUGINS=str(tmp_path))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
