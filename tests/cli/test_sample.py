"""`minwallet sample`: the example files."""

import pytest

from minwallet.cli.sample import SAMPLES
from tests.cli.cli_assertions import assert_error_line, split_cells
from tests.support import ROOT, InProcessCli


def test_every_file_is_listed_with_its_purpose(cli: InProcessCli) -> None:
    """The list has all files of sample_data, which the wheel contains."""
    files = {each.name for each in (ROOT / "sample_data").iterdir() if each.is_file()}
    assert {each["name"] for each in cli("sample")["samples"]} == files
    head, *rows = cli.run("sample").out.splitlines()
    assert split_cells(head) == ["file", "purpose"]
    assert {split_cells(row)[0]: split_cells(row)[1] for row in rows} == SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_is_printed_as_it_is(name: str, cli: InProcessCli) -> None:
    """The output is the file and nothing else."""
    text = (ROOT / "sample_data" / name).read_text("utf-8")
    assert cli.run("sample", name) == (0, text, "")
    assert cli("sample", name) == {"name": name, "text": text}


def test_the_players_can_be_seeded(cli: InProcessCli) -> None:
    """`minwallet sample players.csv > players.csv && minwallet seed players.csv`."""
    players = cli.db.with_name("players.csv")
    players.write_text(cli.run("sample", players.name).out, "utf-8")
    assert cli("seed", players)["rows"] == len(players.read_text("utf-8").splitlines()) - 1


def test_an_unknown_file_is_an_error(cli: InProcessCli) -> None:
    """The error lists the existing files."""
    assert_error_line(cli.run("sample", "secrets.csv"), 2, "'secrets.csv'", *SAMPLES)
