"""`minwallet seed`."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.support import CommandResult, InProcessCli

HEADER = "player_id,currency,balance,bonus,token,agent\n"

RunSeed = Callable[[str | bytes], CommandResult]

_numbers = count(1)


@pytest.fixture
def seed(cli: InProcessCli, tmp_path: Path) -> RunSeed:
    """Seed a new wallet with a file of this content. Return the result of the command."""

    def run(content: str | bytes) -> CommandResult:
        file = tmp_path / "players.csv"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return cli.run("seed", file, "--json")

    return run


def test_a_file_of_players_is_seeded_once(wallet: InProcessCli, tmp_path: Path) -> None:
    """A second run changes nothing. A token in the file does not expire."""
    name, file = f"seeded{next(_numbers)}", tmp_path / "players.csv"
    file.write_text(f"{HEADER}{name},USD,100.50,5,token_{name},\n{name},EUR,0,,,\n{name}-b,USD,1,,,first\n")
    assert wallet("seed", file) == {"rows": 3, "players_added": 2, "accounts_added": 3}
    player = {
        "player_id": name,
        "agent": "default",
        "status": "active",
        "accounts": [{"currency": "EUR", "cash": 0, "bonus": 0}, {"currency": "USD", "cash": 10_050, "bonus": 500}],
    }
    assert wallet("player", "show", name) == player
    assert wallet("player", "show", f"{name}-b", "--agent", "first")["accounts"][0]["cash"] == 100
    wallet("deposit", name, "1", "--currency", "USD")
    before = (wallet("player", "show", name), wallet.read_entries(name))
    assert wallet("seed", file) == {"rows": 3, "players_added": 0, "accounts_added": 0}
    assert (wallet("player", "show", name), wallet.read_entries(name)) == before
    ((token,),) = [wallet("session", "list", name)["sessions"]]
    assert (token["currency"], token["status"], token["expires_at"]) == ("USD", "live", None)


def test_the_added_players_are_counted(wallet: InProcessCli, tmp_path: Path) -> None:
    """Players that existed already are counted too."""
    name, file = f"told{next(_numbers)}", tmp_path / "players.csv"
    file.write_text(f"player_id,currency,balance\n{name},USD,1\n{name},EUR,1\n")
    first, again = wallet.run("seed", file), wallet.run("seed", file)
    assert (first.code, first.out, first.err) == (0, "1 player and 2 accounts added\n", "")
    assert (again.code, again.out) == (0, "0 players and 0 accounts added; 2 existed already\n")


def test_the_last_three_columns_are_optional(seed: RunSeed, cli: InProcessCli) -> None:
    """The order of the columns is free."""
    assert seed("currency,balance,player_id\nUSD,2,ann\n").json["players_added"] == 1
    assert cli.read_balances("ann") == (200, 0)


def test_files_of_spreadsheets_are_valid(seed: RunSeed, cli: InProcessCli) -> None:
    """This holds for a byte order mark, quoted fields, spaces, CRLF, blank lines and a missing last newline."""
    done = seed(b'\xef\xbb\xbf"player_id", currency ,"balance"\r\n"ann","USD","10.50"\r\n\r\nbob, USD ,1')
    assert done.json == {"rows": 2, "players_added": 2, "accounts_added": 2}
    assert (cli.read_balances("ann"), cli.read_balances("bob")) == ((1050, 0), (100, 0))


def test_a_header_alone_adds_no_player(seed: RunSeed) -> None:
    """A file without players is valid."""
    assert seed(HEADER).json == {"rows": 0, "players_added": 0, "accounts_added": 0}


def test_every_invalid_line_is_named_by_its_number(seed: RunSeed, cli: InProcessCli) -> None:
    """All are reported together. No valid line is added, and no file is created."""
    lines = {
        2: ("ann,USD,10,,,", None),
        3: ("bob,USD,1.234,,,", "invalid amount '1.234'"),
        4: ("cat,us,1,,,", "invalid currency 'us'"),
        5: ("two words,USD,1,,,", "invalid player_id 'two words'"),
        6: ("eve,USD,1", "found 3"),
        7: ("fay,USD,1,,,,more", "found 7"),
        8: ("ann,USD,5,,,", "line 2"),
        9: ("gil,USD,1,,no-token,", "invalid token 'no-token'"),
        10: ('hal,USD,"1,000",,,', "invalid amount '1,000'"),
        11: ("ira,USD,1,-0,,", "invalid amount '-0'"),
        12: (",USD,1,,,", "player_id"),
        13: ("jon,USD,92233720368547758.08,,,", "the maximum is"),
        14: ("kim,USD,1,,,two words", "invalid agent 'two words'"),
        15: ("ann,EUR,10,,,", None),
    }
    done = seed(HEADER + "\n".join(line for line, _ in lines.values()))
    assert (done.code, done.out) == (1, "")
    *complaints, last = done.err.splitlines()
    expected = [(number, words) for number, (_, words) in lines.items() if words]
    for complaint, (number, words) in zip(complaints, expected, strict=True):
        assert complaint.startswith(f"minwallet: line {number}: ")
        assert words in complaint.partition(": line ")[2]
    assert "nothing was added" in last
    assert not cli.db.exists()


def test_the_number_of_reported_lines_is_limited(seed: RunSeed) -> None:
    """The first lines are reported, and the number of the others."""
    done = seed(HEADER + "bad,USD,x,,,\n" * 100)
    assert done.code == 1
    assert "line 21:" in done.err
    assert len(done.err.splitlines()) == 22
    assert "80 more" in done.err


def test_conflicts_with_the_wallet_are_named_by_line(cli: InProcessCli, seed: RunSeed) -> None:
    """This holds for an unknown agent, a token of another player, and a balance out of range. Nothing is added."""
    cli("player", "add", "old", "--currency", "USD")
    assert seed(HEADER + "first,USD,1,,token_1,\n").code == 0
    before = cli("player", "list")
    unknown = seed(HEADER + "ann,USD,1,,token_1,\nbob,USD,1,,,\ncat,USD,1,,,ghost\n")
    assert (unknown.code, unknown.out) == (1, "")
    first, second, *_ = unknown.err.splitlines()
    assert first.startswith("minwallet: line 2: ")
    assert "token" in first
    assert second.startswith("minwallet: line 4: ")
    assert "ghost" in second
    twice = seed(HEADER + "ann,USD,1,,token_2,\nann,EUR,1,,token_2,\n")
    too_much = seed(HEADER + "ann,USD,1,,,\nbob,USD,92233720368547758.07,0.01,,\n")
    for result in (twice, too_much):
        reason, rest = result.err.splitlines()
        assert (result.code, result.out) == (1, "")
        assert reason.startswith("minwallet: line 3: ")
        assert rest.startswith("minwallet: nothing was added")
    assert "token" in twice.err
    assert cli("player", "list") == before
    cli.assert_ledger_valid()


def test_an_existing_player_may_get_a_token(cli: InProcessCli, seed: RunSeed) -> None:
    """A new token opens a session and moves no money."""
    seed(HEADER + "ann,USD,1,,,\n")
    assert seed(HEADER + "ann,USD,99,,token_1,\n").json["accounts_added"] == 0
    assert cli.read_balances("ann") == (100, 0)
    assert len(cli("session", "list", "ann")["sessions"]) == 1


@pytest.mark.parametrize(
    "header",
    ["", "\n", "player_id,balance\n", "player_id;currency;balance\n", HEADER.replace("\n", ",more\n"), "ann,USD,10\n"],
    ids=["empty file", "empty line", "column missing", "semicolons", "strange column", "no header"],
)
def test_the_first_line_names_the_columns(seed: RunSeed, tmp_path: Path, header: str) -> None:
    """Another first line is refused with the valid columns."""
    assert_error_line(
        seed(header), 2, "players.csv", "first line", "player_id, currency, balance", "bonus, token, agent"
    )
    assert [file.name for file in tmp_path.iterdir()] == ["players.csv"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER.encode() + b"\xff,USD,1,,,\n", "UTF-8"),
        (HEADER.encode("utf-16"), "UTF-8"),
        (HEADER.encode() + b'"ann,USD,1,,,\n', "line 2"),
        (HEADER.encode() + b"a" * 200_000 + b",USD,1,,,\n", "line 2"),
    ],
    ids=["Latin-1", "UTF-16", "open quote", "endless field"],
)
def test_a_file_that_is_not_csv_in_utf_8_is_refused(seed: RunSeed, content: bytes, words: str) -> None:
    """The error is a sentence, not a traceback."""
    assert_error_line(seed(content), 2, "players.csv", words)


def test_a_file_that_cannot_be_read_is_refused(cli: InProcessCli, tmp_path: Path) -> None:
    """This holds for a missing file and a folder. No wallet file is created."""
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("seed", tmp_path / "none.csv"), 2, "none.csv", "No such file")
        assert_error_line(cli.run("seed", tmp_path), 2, str(tmp_path), "directory")
