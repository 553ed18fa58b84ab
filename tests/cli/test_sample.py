"""`minwallet sample`: the files that come with the program."""

import pytest

from minwallet.cli.sample import ABOUT
from tests.cli.console import assert_complaint, cells
from tests.support import ROOT, Here


def test_every_file_is_listed_with_what_it_is(here: Here) -> None:
    """All that lie in sample_data, where the wheel takes them from."""
    files = {each.name for each in (ROOT / "sample_data").iterdir() if each.is_file()}
    assert {each["name"] for each in here("sample")["samples"]} == files
    head, *rows = here.run("sample").out.splitlines()
    assert cells(head) == ["file", "what it is"]
    assert {cells(row)[0]: cells(row)[1] for row in rows} == ABOUT


@pytest.mark.parametrize("name", ABOUT)
def test_a_file_is_printed_as_it_is(name: str, here: Here) -> None:
    """To be written where it is wanted, and nothing else."""
    text = (ROOT / "sample_data" / name).read_text("utf-8")
    assert here.run("sample", name) == (0, text, "")
    assert here("sample", name) == {"name": name, "text": text}


def test_the_players_can_be_seeded(here: Here) -> None:
    """`minwallet sample players.csv > players.csv && minwallet seed players.csv`."""
    players = here.db.with_name("players.csv")
    players.write_text(here.run("sample", players.name).out, "utf-8")
    assert here("seed", players)["rows"] == len(players.read_text("utf-8").splitlines()) - 1


def test_an_unknown_file_is_answered_with_those_there_are(here: Here) -> None:
    """So that the next try is right."""
    assert_complaint(here.run("sample", "secrets.csv"), 2, "'secrets.csv'", *ABOUT)
