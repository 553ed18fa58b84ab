"""`minwallet demo`: the first minute of a new user."""

import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx2
import pytest

from minwallet.app import SHUTDOWN_GRACE_S
from tests.cli.cli_assertions import assert_error_line
from tests.demo.demo_process import run_demo
from tests.support import ROOT, TIMEOUT_S, InProcessCli, clean_environment

pytestmark = pytest.mark.long


def find_only(pattern: str, text: str) -> str:
    """Return the only match of the pattern."""
    found = re.findall(pattern, text)
    assert len(found) == 1, text
    return str(found[0])


@pytest.fixture(scope="module")
def demo_output(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[InProcessCli, str]]:
    """Yield the command line of a running demo, and its output at the start."""
    with run_demo(tmp_path_factory.mktemp("demo"), "--rounds", 3, "--seed", 7) as demo:
        said = demo.wait_until_ready()
        yield InProcessCli(Path(find_only(r"export MINWALLET_DB=(\S+)", said))), said


def test_players_have_played(demo_output: tuple[InProcessCli, str]) -> None:
    """The players played every game in both protocols, and the ledger verifies."""
    cli, said = demo_output
    assert find_only(r"(\d+) rounds played", said) == "54"
    entries = cli.read_entries("alice")
    assert {(entry["protocol"], entry["game"]) for entry in entries[1:]} == {
        *(("wallet-v2", game) for game in ("1012", "1014", "1053")),
        *(("vela", game) for game in ("slot", "fish", "zodiac")),
    }
    cli.assert_ledger_valid()


def test_the_printed_reconciliation(demo_output: tuple[InProcessCli, str]) -> None:
    """It matches at first. It finds the ticket of a row that was removed from the report."""
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
    """Both launch URLs open a game with alice's money, and `launch` can make new ones."""
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
    """The wallet passes, and the provider's report lacks nothing afterwards."""
    cli, said = demo_output
    (line,) = re.findall(rf"minwallet (conformance \S+ --protocol {protocol} .*)", said)
    result = cli.run(*line.split(), "--json")
    assert (result.code, result.json["counts"]["fail"]) == (0, 0)
    assert set(cli.run("reconcile", "--json").json["counts"]) <= {"matched", "missing there"}
    cli.assert_ledger_valid()


def test_a_printed_call_is_made(demo_output: tuple[InProcessCli, str]) -> None:
    """The printed `trigger` command works with the running server."""
    cli, said = demo_output
    (line,) = re.findall(r"minwallet (trigger bet .*)", said)
    made = cli(*line.split())
    assert made["before"]["cash"] - made["after"]["cash"] == 100


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    """It exits with code 0 and removes its temporary file."""
    with run_demo(tmp_path, "--rounds", 1) as demo:
        said = demo.wait_until_ready()
        folder = Path(find_only(r"export MINWALLET_DB=(\S+)", said)).parent
        assert folder.is_dir()
        assert demo.stop(number) == 0
        assert not folder.exists()
        assert "Traceback" not in demo.err.read_text()


def test_an_open_page_does_not_block_the_shutdown(tmp_path: Path) -> None:
    """The page's feed would otherwise never end."""
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
    """It stops in the middle of the first rounds."""
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


def test_a_demo_continues_on_a_kept_file(tmp_path: Path) -> None:
    """With `--db` the players continue, and the reports of both runs count."""
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


def test_a_real_wallet_is_not_used_for_a_demo(cli: InProcessCli, tmp_path: Path) -> None:
    """A wallet with other players is refused and stays unchanged."""
    cli.add_player()
    assert_error_line(
        cli.run("demo", "--port", "0", "--provider-port", "0"), 1, "players that are not of a demo", "--db"
    )
    assert cli("agent", "show")["host_id"] is None
    (tmp_path / "text").write_text("no database at all, but some text")
    other = InProcessCli(tmp_path / "text")
    assert_error_line(other.run("demo", "--port", "0", "--provider-port", "0"), 3, "not a wallet file")


def test_a_running_demo_is_left_alone(demo_output: tuple[InProcessCli, str]) -> None:
    """A second demo on the same file changes nothing."""
    cli, _ = demo_output
    before = cli("agent", "show")
    assert_error_line(cli.run("demo", "--port", "0", "--provider-port", "0"), 3, "is served by process")
    assert cli("agent", "show") == before


def test_an_unusable_wallet_is_an_error(cli: InProcessCli, tmp_path: Path) -> None:
    """The error is one line, not a traceback."""
    with run_demo(tmp_path, "--rounds", 0, db=cli.db) as demo:
        demo.wait_until_ready()
    cli("player", "block", "alice")
    with run_demo(tmp_path, db=cli.db) as demo:
        assert demo.process.wait(TIMEOUT_S) == 1
    (line,) = demo.err.read_text().splitlines()
    assert "cannot play with this wallet" in line
    assert "Player blocked" in line


def test_a_port_in_use_is_an_error(tmp_path: Path) -> None:
    """The error names the port and the option for another."""
    cli = InProcessCli(tmp_path / "new.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option, other in (("--port", "--provider-port"), ("--provider-port", "--port")):
            refused = cli.run("demo", option, port, other, "0")
            assert_error_line(refused, 3, f"port {port}", f"choose another with {option}")
            assert refused.err.endswith(f"{option}\n")
        assert not cli.db.exists()
    assert_error_line(cli.run("demo", "--faults", "nonsense"), 2, "--faults")


def test_a_free_port_is_taken_if_none_was_asked_for(tmp_path: Path) -> None:
    """The printed addresses are the real ones, of the wallet and of the provider."""
    held = set()
    with ExitStack() as stack:
        for port in (8000, 8100):
            with suppress(OSError):  # Another program uses it already.
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
                held.add(port)
        with run_demo(tmp_path, "--rounds", 0, "--no-browser", ports=()) as demo:
            said = demo.wait_until_ready()
            for address in re.findall(r"^  (?:page|provider) +(http://\S+)", said, re.MULTILINE):
                assert httpx2.URL(address).port not in held
                assert httpx2.get(address, trust_env=False, follow_redirects=True).status_code == 200


def test_make_demo_passes_the_ports_on() -> None:
    """Without them, the demo chooses them itself."""
    for given, passed in (([], ""), (["PORT=9000", "PROVIDER_PORT=9100"], "--port 9000 --provider-port 9100")):
        done = subprocess.run(
            ["make", "--no-print-directory", "--dry-run", "--always-make", "demo", *given],
            cwd=ROOT,
            env={name: value for name, value in clean_environment().items() if not name.endswith("PORT")},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.splitlines()[-1].split() == [".venv/bin/minwallet", "demo", *passed.split()]


@pytest.fixture
def cli(db: Path) -> InProcessCli:
    """Return the in-process command line on a file without a server."""
    return InProcessCli(db)


def test_the_command_is_on_the_path_it_prints(demo_output: tuple[InProcessCli, str]) -> None:
    """The printed PATH leads to the program in another terminal."""
    _, said = demo_output
    if found := re.search(r" PATH=(\S+):\$PATH", said):
        assert shutil.which("minwallet", path=found[1])
