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

from minwallet.app import GRACE_S
from tests.cli.console import assert_complaint
from tests.demo.demo_process import run_demo
from tests.support import PATIENCE_S, Here

pytestmark = pytest.mark.long


def only(pattern: str, text: str) -> str:
    """The one thing that the pattern finds."""
    found = re.findall(pattern, text)
    assert len(found) == 1, text
    return str(found[0])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Here, str]]:
    """A running demo's command line, and what it said at the start."""
    with run_demo(tmp_path_factory.mktemp("demo"), "--rounds", 3, "--seed", 7) as demo:
        said = demo.wait_until_ready()
        yield Here(Path(only(r"export MINWALLET_DB=(\S+)", said))), said


def test_players_have_played(told: tuple[Here, str]) -> None:
    """Every game in both protocols, and the money is right."""
    here, said = told
    assert only(r"they have played (\d+) rounds", said) == "54"
    entries = here.entries("alice")
    assert {(entry["protocol"], entry["game"]) for entry in entries[1:]} == {
        *(("wallet-v2", game) for game in ("1012", "1014", "1053")),
        *(("vela", game) for game in ("slot", "fish", "zodiac")),
    }
    here.assert_clean()


def test_the_printed_reconciliation(told: tuple[Here, str]) -> None:
    """Clean at first, and after a row was taken out of the report it is found by its ticket."""
    here, said = told
    assert here("reconcile")["counts"] == {"matched": 27}
    address = only(r"curl -sX DELETE (\S+)", said)
    assert httpx2.delete(address, trust_env=False).status_code == 204
    assert here("report", "pull", "--anew")["rows"] == 26
    result = here.run("reconcile", "--json")
    assert result.code == 1
    (difference,) = result.json["differences"]
    assert (difference["finding"], difference["ticket"]) == ("missing there", address.rpartition("/")[2])


def test_the_printed_games_open(told: tuple[Here, str]) -> None:
    """Both launch addresses lead to a game that plays with alice's money; new ones can be made."""
    here, said = told
    printed = re.findall(r"http://\S+/play\S+token=\S+", said)
    assert len(printed) == 2
    made = [
        here("launch", "alice", "--protocol", "vela", "--game", "fish")["url"],
        here("launch", "alice", "--protocol", "wallet-v2", "--game", "1012")["url"],
    ]
    for address in [*printed, *made]:
        page = httpx2.get(address, trust_env=False)
        assert page.status_code == 200
        assert "alice" in page.text
    assert [game["game_code"] for game in here("games", "--kept")["games"]] == ["slot", "fish", "zodiac"]


@pytest.mark.parametrize("protocol", ["wallet-v2", "vela"])
def test_the_printed_conformance(told: tuple[Here, str], protocol: str) -> None:
    """The wallet passes, and what was tried is not missed in the provider's report."""
    here, said = told
    (line,) = re.findall(rf"minwallet (conformance \S+ --protocol {protocol} .*)", said)
    result = here.run(*line.split(), "--json")
    assert (result.code, result.json["counts"]["fail"]) == (0, 0)
    assert set(here.run("reconcile", "--json").json["counts"]) <= {"matched", "missing there"}
    here.assert_clean()


def test_a_printed_call_is_made(told: tuple[Here, str]) -> None:
    """A bet by hand, in the server that runs."""
    here, said = told
    (line,) = re.findall(r"minwallet (trigger bet .*)", said)
    made = here(*line.split())
    assert made["before"]["cash"] - made["after"]["cash"] == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_of_it(tmp_path: Path, number: signal.Signals) -> None:
    """Stopped, it ends well and takes its throw-away file along."""
    with run_demo(tmp_path, "--rounds", 1) as demo:
        said = demo.wait_until_ready()
        folder = Path(only(r"export MINWALLET_DB=(\S+)", said)).parent
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
        assert time.monotonic() - started < GRACE_S / 2
        assert "data:" not in "".join(events)


def test_it_may_be_stopped_before_it_is_ready(tmp_path: Path) -> None:
    """In the middle of its first rounds."""
    with run_demo(tmp_path, "--rounds", 10_000, db=tmp_path / "kept.db") as demo:
        here = Here(tmp_path / "kept.db")
        deadline = time.monotonic() + PATIENCE_S
        while (
            not here.db.exists()
            or not (shown := here.run("ledger", "carol", "--json")).out
            or not shown.json["entries"][2:]
        ):
            assert time.monotonic() < deadline
        demo.process.send_signal(signal.SIGINT)  # an impatient person presses Ctrl-C twice
        assert demo.stop() == 0
        assert "Traceback" not in demo.err.read_text()
        here.assert_clean()


def test_a_kept_file_is_shown_again(tmp_path: Path) -> None:
    """With `--db` the players go on where they were, and the reports of both runs count."""
    db = tmp_path / "kept.db"
    for run in (1, 2):
        with run_demo(tmp_path, "--rounds", 2, "--faults", "all", db=db) as demo:
            demo.wait_until_ready()
            assert demo.stop() == 0
        here = Here(db)
        assert here("reconcile")["ok"] is True
        tickets = {entry["id"] for entry in here.entries("alice") if entry["protocol"] == "vela"}
        assert len(tickets) == 6 * run
        here.assert_clean()


def test_somebody_else_s_file_is_left_alone(here: Here, tmp_path: Path) -> None:
    """A wallet with players of its own is no place for a demo."""
    here.player()
    assert_complaint(here.run("demo", "--port", "0", "--provider-port", "0"), 1, "players who are no demo", "--db")
    assert here("agent", "show")["host_id"] is None
    (tmp_path / "text").write_text("no database at all, but some text")
    other = Here(tmp_path / "text")
    assert_complaint(other.run("demo", "--port", "0", "--provider-port", "0"), 3, "not a wallet file")


def test_a_running_demo_is_left_alone(told: tuple[Here, str]) -> None:
    """A second one on its file changes nothing there."""
    here, _ = told
    before = here("agent", "show")
    assert_complaint(here.run("demo", "--port", "0", "--provider-port", "0"), 3, "is served by process")
    assert here("agent", "show") == before


def test_a_wallet_that_cannot_be_played_with(here: Here, tmp_path: Path) -> None:
    """A reason in one line, and no traceback."""
    with run_demo(tmp_path, "--rounds", 0, db=here.db) as demo:
        demo.wait_until_ready()
    here("player", "block", "alice")
    with run_demo(tmp_path, db=here.db) as demo:
        assert demo.process.wait(PATIENCE_S) == 1
    (line,) = demo.err.read_text().splitlines()
    assert "cannot play with this wallet" in line
    assert "Player blocked" in line


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """Is named, with the option that chooses another."""
    here = Here(tmp_path / "new.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert_complaint(here.run("demo", "--port", port, "--provider-port", "0"), 3, f"port {port}", "--port")
        assert_complaint(here.run("demo", "--port", "0", "--provider-port", port), 3, f"port {port}", "--provider-port")
    assert_complaint(here.run("demo", "--faults", "nonsense"), 2, "--faults")


@pytest.fixture
def here(db: Path) -> Here:
    """The quick command line, on a file without a server."""
    return Here(db)


def test_the_command_is_on_the_path_it_prints(told: tuple[Here, str]) -> None:
    """What is pasted into another terminal finds the program."""
    _, said = told
    if found := re.search(r" PATH=(\S+):\$PATH", said):
        assert shutil.which("minwallet", path=found[1])
