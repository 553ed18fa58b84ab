"""`minwallet seed`."""

import gzip
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest

from minwallet.cli.dispatch import ServerDidNotAnswer, execute_on_file
from minwallet.cli.seed import ROWS_PER_SLICE
from minwallet.operations.requests import OperationRequest, Reply
from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.forkserver import start_minwallet
from tests.support import CommandResult, InProcessCli, Server, clean_environment, running_server

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
        "excluded_until": None,
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
    """The lines of existing accounts are counted too, because a balance in them has no effect."""
    name, file = f"told{next(_numbers)}", tmp_path / "players.csv"
    file.write_text(f"player_id,currency,balance\n{name},USD,1\n{name},EUR,1\n")
    first, again = wallet.run("seed", file), wallet.run("seed", file)
    assert (first.code, first.out, first.err) == (0, "1 player and 2 accounts added\n", "")
    existing = "2 lines name accounts that exist already; their money was not changed"
    assert (again.code, again.out) == (0, f"0 players and 0 accounts added; {existing}\n")


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
    ["", "\n", "player_id,balance\n", "player_id|currency|balance\n", HEADER.replace("\n", ",more\n"), "ann,USD,10\n"],
    ids=["empty file", "empty line", "column missing", "bars", "strange column", "no header"],
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
        (HEADER.encode() + b"ann,USD,\xff1,,,\n", "line 2, byte 9: 0xff is not UTF-8"),
        (b"\xef\xbb\xbfplayer_id,\xe9", "line 1, byte 14: 0xe9 is not UTF-8"),
        (HEADER.encode("utf-16"), "first bytes are those of UTF-16 text"),
        (HEADER.encode("utf-16-le"), "line 1, byte 2: NUL is not text"),
        (gzip.compress(HEADER.encode()), "first bytes are those of a gzip file"),
        (b"PK\x03\x04\x14", "save the sheet as CSV"),
        (HEADER.encode() + b'"ann,USD,1,,,\n', "line 2"),
        (HEADER.encode() + b"a" * 200_000 + b",USD,1,,,\n", "line 2"),
    ],
    ids=[
        "Latin-1",
        "Latin-1 after a mark",
        "UTF-16",
        "UTF-16 without a mark",
        "gzip",
        "workbook",
        "open quote",
        "endless field",
    ],
)
def test_a_file_that_is_not_csv_in_utf_8_is_refused(
    seed: RunSeed, cli: InProcessCli, content: bytes, words: str
) -> None:
    """The error is one line with the byte, not a traceback. No wallet file is created."""
    assert_error_line(seed(content), 2, "players.csv", words)
    assert not cli.db.exists()


def test_a_file_that_cannot_be_read_is_refused(cli: InProcessCli, tmp_path: Path) -> None:
    """This holds for a missing file and a folder. No wallet file is created."""
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("seed", tmp_path / "none.csv"), 2, "none.csv", "no such file")
        assert_error_line(cli.run("seed", tmp_path), 2, str(tmp_path), "it is a folder")


EUROPEAN = "player_id;currency;balance;bonus\r\nann;USD;1234,50;\r\nbob;USD;3;0,5\r\n"


@pytest.mark.parametrize(("separator", "name"), [(";", "';'"), ("\t", "tab")])
def test_a_european_spreadsheets_file_is_recognised(
    seed: RunSeed, cli: InProcessCli, separator: str, name: str
) -> None:
    """The header shows the separator, a byte order mark is ignored, and stderr says how the file is read.

    A decimal comma is named only if there is one.
    """
    done = seed("player_id;currency;balance\ndan;USD;12.50\n".replace(";", separator))
    assert done.err.splitlines()[0] == f"minwallet: separator {name}"
    done = seed("\ufeff" + EUROPEAN.replace(";", separator))
    assert (done.code, done.json["players_added"]) == (0, 2)
    assert done.err.splitlines()[0] == f"minwallet: separator {name}, decimal comma"
    assert (cli.read_balances("ann"), cli.read_balances("bob")) == ((123_450, 0), (300, 50))


def test_a_first_line_may_name_the_separator(seed: RunSeed, cli: InProcessCli) -> None:
    """Spreadsheets write it. The numbers of lines count it, and another separator is refused."""
    assert seed("\ufeffsep=;\r\nplayer_id;currency;balance\r\nann;USD;1,5\r\n").code == 0
    assert cli.read_balances("ann") == (150, 0)
    assert seed('"sep=,"\nplayer_id,currency,balance\nbob,USD,x\n').err.startswith("minwallet: line 3: ")
    assert_error_line(seed("sep=|\nplayer_id|currency|balance\n"), 2, "invalid separator '|'", "a semicolon or a tab")
    assert_error_line(seed("sep=,\nplayer_id;currency\n"), 2, "second line of '", "players.csv")


def test_rows_of_empty_cells_are_skipped(seed: RunSeed) -> None:
    """Spreadsheets write them below the last row, also with another number of cells. Later lines keep their numbers."""
    done = seed("player_id;currency;balance\n;;\nann;USD;1\n;;;;; \nbob;USD;x\n")
    assert [line.partition(" invalid")[0] for line in done.err.splitlines()[1:-1]] == ["minwallet: line 5:"]
    assert seed("player_id;currency;balance\n;;\nann;USD;1\n;;;;; \n").json["rows"] == 1


@pytest.mark.parametrize("amount", ["1.234,50", "1,234", "1'234.50", "1 234,50", "1\u00a0234,50"])
def test_a_separator_of_thousands_is_refused(seed: RunSeed, amount: str) -> None:
    """It could be taken for a decimal separator. The line is named."""
    done = seed(f"player_id;currency;balance\nann;USD;1\nbob;USD;{amount}\n")
    _, reason, _ = done.err.splitlines()
    assert done.code == 1
    readable = amount.replace("\u00a0", " ")
    assert reason.startswith(f"minwallet: line 3: invalid amount {readable!r}")
    assert f"write it like {'1234,50' if ',' in amount else '1234.50'}, without a separator of thousands" in reason


def test_a_decimal_comma_needs_another_separator(seed: RunSeed) -> None:
    """Between commas it is refused, even in quotation marks. Without these, the number of columns shows it."""
    split = seed("player_id,currency,balance\nann,USD,12,5\n")
    assert split.err.startswith(
        "minwallet: line 2: expected 3 columns, as in the header, found 4; decimal commas need "
    )
    done = seed('player_id,currency,balance\nann,USD,"12,50"\n')
    assert done.code == 1
    assert done.err.startswith("minwallet: line 2: invalid amount '12,50'")


def test_a_dash_reads_standard_input(cli: InProcessCli) -> None:
    """Errors name it, too."""

    def run(content: str) -> CommandResult:
        with patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(content.encode()))):
            return cli.run("seed", "-")

    assert run("player_id,currency,balance\nann,USD,1\n").code == 0
    assert cli.read_balances("ann") == (100, 0)
    assert_error_line(run("player_id\n"), 2, "first line of standard input")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("served") / "wallet.db") as server:
        yield server


def write_players(folder: Path, prefix: str, number: int) -> Path:
    """Write a seed file with this number of lines."""
    file = folder / f"{prefix}.csv"
    rows = "".join(f"{prefix}{each:05},USD,1,,t_{prefix}{each},\n" for each in range(number))
    file.write_text(HEADER + rows)
    return file


def test_bets_are_committed_between_the_lines_of_a_seed(server: Server, tmp_path: Path) -> None:
    """A server takes a long file in slices, so that no bet waits for the whole file."""
    token, stop = server.cli.open_session(server.cli.add_player()), threading.Event()

    def place_bets() -> None:
        for number in count(1):
            if stop.is_set():
                return
            assert server.wallet_v2(type="bet", bet=1, id=number, game=1, code=token)["result"] == 1

    with ThreadPoolExecutor(1) as pool:
        bets = pool.submit(place_bets)
        server.cli("seed", write_players(tmp_path, "slow", 1500))
        stop.set()
        bets.result()
    assert server.cli.run("export", "ledger", tmp_path / "ledger.csv").code == 0
    kinds = [
        "seeded" if ",slow" in line else "bet"
        for line in (tmp_path / "ledger.csv").read_text().splitlines()[1:]
        if ",slow" in line or ",bet," in line
    ]
    during = kinds[kinds.index("seeded") : len(kinds) - kinds[::-1].index("seeded")]
    assert during.count("seeded") == 1500
    assert during.count("bet") >= 3


def test_a_killed_seed_is_finished_by_the_same_command(server: Server, tmp_path: Path) -> None:
    """What was added before stays, and each player is added once."""
    file = write_players(tmp_path, "kill", 1500)
    with start_minwallet(["--db", server.db, "seed", file], env=clean_environment()) as process:
        while process.poll() is None and not server.cli("player", "list", "--search", "kill", "--limit", 1)["players"]:
            pass
        process.send_signal(signal.SIGKILL)
    # The server may still add the last lines that it was sent.
    rest = server.cli("seed", file)
    assert rest["players_added"] == rest["accounts_added"] < rest["rows"] == 1500
    assert len(server.cli("player", "list", "--search", "kill")["players"]) == 1500
    assert server.cli("seed", file) == {"rows": 1500, "players_added": 0, "accounts_added": 0}
    server.cli.assert_ledger_valid()


def test_a_server_adds_nothing_if_the_last_line_is_bad(server: Server, tmp_path: Path) -> None:
    """All lines are checked before the first one is written, also against the wallet."""
    file = write_players(tmp_path, "none", 250)
    server.cli("seed", write_players(tmp_path, "other", 1))
    content = file.read_text()
    for line in ("last,USD,1,,,ghost\n", "last,USD,1,,t_other0,\n", "last,USD,92233720368547758.07,1,,\n"):
        file.write_text(content + line)
        refused = server.cli.run("seed", file)
        reason, *_, advice = refused.err.splitlines()
        assert (refused.code, refused.out) == (1, "")
        assert reason.startswith("minwallet: line 252: ")
        assert advice.startswith("minwallet: nothing was added")
    assert server.cli("player", "list", "--search", "none") == {"players": []}


def test_a_failing_slice_says_what_is_written(server: Server, tmp_path: Path) -> None:
    """A change of another command between the check and the write can make a line invalid."""
    file, rival = write_players(tmp_path, "half", ROWS_PER_SLICE + 50), tmp_path / "rival.csv"
    rival.write_text(f"{HEADER}rival,USD,1,,t_half{ROWS_PER_SLICE + 49},\n")

    def interfere(path: Path, request: OperationRequest) -> Reply:
        reply = execute_on_file(path, request)
        patched.stop()
        assert server.cli.run("seed", rival).code == 0
        return reply

    patched = patch("minwallet.cli.seed.execute_on_file", interfere)
    patched.start()
    refused = server.cli.run("seed", file)
    reason, advice = refused.err.splitlines()
    assert refused.code == 1
    assert reason.startswith(f"minwallet: line {ROWS_PER_SLICE + 51}: ")
    assert f"the lines before line {ROWS_PER_SLICE + 2} are written; run the command again" in advice
    assert "nothing was added" not in refused.err
    assert len(server.cli("player", "list", "--search", "half")["players"]) == ROWS_PER_SLICE


def test_a_seed_whose_server_stops_answering_can_be_repeated(server: Server, tmp_path: Path) -> None:
    """Whether the last part was added is unknown, and makes no difference: existing lines are not added again."""
    file = write_players(tmp_path, "gone", ROWS_PER_SLICE + 50)
    failing = ServerDidNotAnswer("the server (process 7) did not answer: ReadError")
    for earlier in ([], [{"players_added": ROWS_PER_SLICE, "accounts_added": ROWS_PER_SLICE}]):
        with patch("minwallet.cli.seed.execute_on_file", side_effect=[*earlier, failing]):
            stopped = server.cli.run("seed", file)
        assert_error_line(stopped, 3, "did not answer: ReadError; run the command again; it adds only what is missing")
        assert "check before" not in stopped.err
