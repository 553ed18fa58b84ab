"""`minwallet demo`: the first minute."""

import re
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from minwallet.app import SHUTDOWN_GRACE_S
from tests.cli.cli_assertions import assert_error_line
from tests.demo.demo_process import run_demo
from tests.support import TIMEOUT_S, InProcessCli

pytestmark = pytest.mark.long


def find_only(pattern: str, text: str) -> str:
    """The one thing that the pattern finds."""
    found = re.findall(pattern, text)
    assert len(found) == 1, text
    return str(found[0])


@pytest.fixture(scope="module")
def demo_output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcessCli, str]]:
    """A running demo's command line, and what it said at the start."""
    with run_demo(tmp_path_factory.mktemp("demo"), "--rounds", 3, "--seed", 7) as demo:
        said = demo.wait_until_ready()
        yield InProcessCli(Path(find_only(r"export MINWALLET_DB=(\S+)", said))), said


def test_players_have_played(demo_output: tuple[InProcessCli, str]) -> None:
    """Every game in both protocols, and the money is right."""
    cli, said = demo_output
    assert find_only(r"(\d+) rounds played", said) == "54"
    entries = cli.read_entries("alice")
    assert {(entry["protocol"], entry["game"]) for entry in entries[1:]} == {
        *(("wallet-v2", game) for game in ("1012", "1014", "1053")),
        *(("vela", game) for game in ("slot", "fish", "zodiac")),
    }
    cli.assert_ledger_valid()


def test_the_printed_reconciliation(demo_output: tuple[InProcessCli, str]) -> None:
    """Clean at first, and after a row was taken out of the report it is found by its ticket."""
    cli, said = demo_output
    assert cli("reconcile")["counts"] == {"matched": 27}
    address = find_only(r"curl -sX DELETE (\S+)", said)
    assert httpx2.delete(address, trust_env=False).status_code == 204
    assert cli("report", "pull", "--full")["rows"] == 26
    result = cli.run("reconcile", "--json")
    assert result.code == 1
    (difference,) = result.json["differences"]
    assert (difference["finding"], difference["ticket"]) == ("missing there", address.rpartition("/")[2])


def test_the_printed_games_open(demo_output: tuple[InProcessCli, str]) -> None:
    """Both launch addresses lead to a game that plays with alice's money; new ones can be made."""
    cli, said = demo_output
    printed = re.findall(r"http://\S+/play\S+token=\S+", said)
    assert len(printed) == 2
    made = [
        cli("launch", "alice", "--protocol", "vela", "--game", "fish")["url"],
        cli("launch", "alice", "--protocol", "wallet-v2", "--game", "1012")["url"],
    ]
    for address in [*printed, *made]:
        page = httpx2.get(address, trust_env=False)
        assert page.status_code == 200
        assert "alice" in page.text
    assert [game["game_code"] for game in cli("games", "--cached")["games"]] == ["slot", "fish", "zodiac"]


@pytest.mark.parametrize("protocol", ["wallet-v2", "vela"])
def test_the_printed_conformance(demo_output: tuple[InProcessCli, str], protocol: str) -> None:
    """The wallet passes, and what was tried is not missed in the provider's report."""
    cli, said = demo_output
    (line,) = re.findall(rf"minwallet (conformance \S+ --protocol {protocol} .*)", said)
    result = cli.run(*line.split(), "--json")
    assert (result.code, result.json["counts"]["fail"]) == (0, 0)
    assert set(cli.run("reconcile", "--json").json["counts"]) <= {"matched", "missing there"}
    cli.assert_ledger_valid()


def test_a_printed_call_is_made(demo_output: tuple[InProcessCli, str]) -> None:
    """A bet by hand, in the server that runs."""
    cli, said = demo_output
    (line,) = re.findall(r"minwallet (trigger bet .*)", said)
    made = cli(*line.split())
    assert made["before"]["cash"] - made["after"]["cash"] == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_it(tmp_path: Path, number: signal.Signals) -> None:
    """Stopped, it ends well and takes its throw-away file along."""
    with run_demo(tmp_path, "--rounds", 1) as demo:
        said = demo.wait_until_ready()
        folder = Path(find_only(r"export MINWALLET_DB=(\S+)", said)).parent
        assert folder.is_dir()
        assert demo.stop(number) == 0
        assert not folder.exists()
        assert "Traceback" not in demo.err.read_text()


def test_an_open_page_does_not_hold_it_up(tmp_path: Path) -> None:
    """Its feed would never end by itself."""
    with (
        run_demo(tmp_path, "--rounds", 0) as demo,
        httpx2.stream("GET", f"{demo.page_url}/feed?player=alice", trust_env=False) as feed,
    ):
        events = feed.iter_text()
        assert "the feed begins" in next(events)
        started = time.monotonic()
        assert demo.stop() == 0
        assert time.monotonic() - started < SHUTDOWN_GRACE_S / 2
        assert "data:" not in "".join(events)


def test_it_may_be_stopped_before_it_is_ready(tmp_path: Path) -> None:
    """In the middle of its first rounds."""
    with run_demo(tmp_path, "--rounds", 10_000, db=tmp_path / "kept.db") as demo:
        cli = InProcessCli(tmp_path / "kept.db")
        deadline = time.monotonic() + TIMEOUT_S
        while (
            not cli.db.exists()
            or not (shown := cli.run("ledger", "carol", "--json")).out
            or not shown.json["entries"][2:]
        ):
            assert time.monotonic() < deadline
        demo.process.send_signal(signal.SIGINT)  # an impatient person presses Ctrl-C twice
        assert demo.stop() == 0
        assert "Traceback" not in demo.err.read_text()
        cli.assert_ledger_valid()


def test_a_kept_file_is_shown_again(tmp_path: Path) -> None:
    """With `--db` the players go on where they were, and the reports of both runs count."""
    db = tmp_path / "kept.db"
    for run in (1, 2):
        with run_demo(tmp_path, "--rounds", 2, "--faults", "all", db=db) as demo:
            demo.wait_until_ready()
            assert demo.stop() == 0
        cli = InProcessCli(db)
        assert cli("reconcile")["ok"] is True
        tickets = {entry["id"] for entry in cli.read_entries("alice") if entry["protocol"] == "vela"}
        assert len(tickets) == 6 * run
        cli.assert_ledger_valid()


def test_somebody_else_s_file_is_left_alone(cli: InProcessCli, tmp_path: Path) -> None:
    """A wallet with players of its own is no place for a demo."""
    cli.add_player()
    assert_error_line(
        cli.run("demo", "--port", "0", "--provider-port", "0"), 1, "players that are not of a demo", "--db"
    )
    assert cli("agent", "show")["host_id"] is None
    (tmp_path / "text").write_text("no database at all, but some text")
    other = InProcessCli(tmp_path / "text")
    assert_error_line(other.run("demo", "--port", "0", "--provider-port", "0"), 3, "not a wallet file")


def test_a_running_demo_is_left_alone(demo_output: tuple[InProcessCli, str]) -> None:
    """A second one on its file changes nothing there."""
    cli, _ = demo_output
    before = cli("agent", "show")
    assert_error_line(cli.run("demo", "--port", "0", "--provider-port", "0"), 3, "is served by process")
    assert cli("agent", "show") == before


def test_a_wallet_that_cannot_be_played_with(cli: InProcessCli, tmp_path: Path) -> None:
    """A reason in one line, and no traceback."""
    with run_demo(tmp_path, "--rounds", 0, db=cli.db) as demo:
        demo.wait_until_ready()
    cli("player", "block", "alice")
    with run_demo(tmp_path, db=cli.db) as demo:
        assert demo.process.wait(TIMEOUT_S) == 1
    (line,) = demo.err.read_text().splitlines()
    assert "cannot play with this wallet" in line
    assert "Player blocked" in line


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Is named, with the option that chooses another."""
    cli = InProcessCli(tmp_path / "new.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_error_line(cli.run("demo", "--port", port, "--provider-port", "0"), 3, f"port {port}", "--port")
        assert_error_line(cli.run("demo", "--port", "0", "--provider-port", port), 3, f"port {port}", "--provider-port")
    assert_error_line(cli.run("demo", "--faults", "nonsense"), 2, "--faults")


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """The quick command line, on a file without a server."""
    return InProcessCli(db)


def test_the_command_is_on_the_path_it_prints(demo_output: tuple[InProcessCli, str]) -> None:
    """What is pasted into another terminal finds the program."""
    _, said = demo_output
    if found := re.search(r" PATH=(\S+):\$PATH", said):
        assert shutil.which("minwallet", path=found[1])
