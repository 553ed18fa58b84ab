"""The demo provider with protocols of other packages: it plays those with a dealer, and names the others."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from minwallet.demo.dealer import explain_unplayed, list_played_protocols
from minwallet.demo.wallet_client import NoAnswer, WalletClient, parse_answer
from minwallet.ledger.commands import Balance
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpResponse
from tests.cli.cli_assertions import assert_error_line
from tests.demo.demo_process import DemoProcess, run_demo
from tests.demo.provider_process import run_provider
from tests.orbit_package import join_pythonpath, write_orbit_package
from tests.protocol_package import installed
from tests.support import InProcessCli, running_server

SECRET = "orbits-secret-of-this-agent"


@pytest.fixture
def orbit(tmp_path: Path) -> Iterator[Path]:
    """Install orbit with its dealer, and yield the folder of the package."""
    folder = write_orbit_package(tmp_path / "plugins", "dealer", "conformance")
    with installed(folder):
        yield folder


def test_a_protocol_with_a_dealer_is_played(orbit: Path) -> None:
    """The provider needs no list of names."""
    assert {"orbit", "vela", "wallet-v2"} <= {*list_played_protocols()}
    assert explain_unplayed("orbit") == ""


def test_a_protocol_without_a_usable_dealer_is_named(tmp_path: Path) -> None:
    """The others are played."""
    with installed(write_orbit_package(tmp_path / "plugins")):
        assert explain_unplayed("orbit") == "protocol 'orbit' has no dealer, so the demo does not play it"
        type(load_protocol("orbit")).dealer = "no_such_module:Dealer"
        assert "its dealer cannot be loaded: ModuleNotFoundError" in explain_unplayed("orbit")
        assert "orbit" not in list_played_protocols()
        assert "vela" in list_played_protocols()


@pytest.mark.anyio
async def test_a_provider_without_a_secret_says_so(orbit: Path) -> None:
    """It sends nothing, because the wallet would refuse an unsigned call."""
    client = WalletClient("http://127.0.0.1:9", None, timeout_s=1)
    with pytest.raises(NoAnswer, match="the provider has no secret to sign the calls of orbit"):
        await client.request_answer("orbit", Call("balance", "token", Balance(), "alice", "USD"))
    await client.close()


@pytest.mark.parametrize(
    ("protocol", "status", "body", "answer"),
    [
        # A protocol's refusal may have any status.
        ("orbit", 400, b'{"error":"INSUFFICIENT_FUNDS"}', "INSUFFICIENT_FUNDS"),
        ("orbit", 403, b'{"error":"BAD_PLAYER"}', "BAD_PLAYER"),
        # These errors of HTTP do not tell if an earlier attempt moved the money.
        ("orbit", 401, b'{"error":"BAD_SIGNATURE"}', None),
        ("orbit", 429, b'{"error":"RETRY_LATER"}', None),
        ("orbit", 503, b'{"error":"REFUSED"}', None),
        ("wallet-v2", 405, b'{"result":0,"err_code":100,"err_desc":"method"}', None),
        ("wallet-v2", 404, b"<html>", None),
        ("wallet-v2", 302, b'{"result":1,"credit":5}', None),
        ("wallet-v2", 200, b"<html>", None),
        ("wallet-v2", 201, b'{"result":1,"credit":5}', 0),
    ],
)
def test_only_an_answer_of_the_wallet_counts(
    orbit: Path, protocol: str, status: int, body: bytes, answer: int | str | None
) -> None:
    """Any other reply leaves the outcome of the call unknown."""
    wire, response = load_protocol(protocol), HttpResponse(body, status)
    if answer is not None:
        assert parse_answer(wire, response).code == answer
    else:
        with pytest.raises(ValueError, match=r"HTTP status|cannot be parsed"):
            parse_answer(wire, response)


@pytest.mark.long
def test_a_signed_protocol_is_played_with_faults(db: Path, orbit: Path) -> None:
    """Wallet and provider agree on the money, and neither the log nor the reply has the secret."""
    secret_file = db.parent / "secret"
    secret_file.write_text(f"{SECRET}\n")
    options = ("--faults", "all=0.3", "--secret-file", secret_file, "--wallet-token", "default")
    with (
        running_server(db, PYTHONPATH=join_pythonpath(orbit)) as server,
        run_provider(server.url, db.parent, *options, PYTHONPATH=join_pythonpath(orbit)) as provider,
    ):
        cli = InProcessCli(db)
        cli("agent", "secret", "add", "default", "orbit", "--from-file", secret_file)
        player = cli.add_player()
        account = {"player_id": player, "currency": "USD"}
        summary = provider.play_rounds(
            protocol="orbit", game="zodiac", token=cli.open_session(player), rounds=40, **account
        )
        provider.wait_until(lambda told: told["pending"] == 0)
        assert summary["done"]
        # A launch URL of orbit does not contain the operator.
        cli("agent", "set", "default", "--game-url", f"{provider.url}/play")
        launch = cli("launch", player, "--protocol", "orbit", "--game", "slot")
        assert player in provider.http.get(launch["url"]).text
        assert cli.read_balances(player) == (10_000 + provider.read_net(player), 0)
        assert {entry["protocol"] for entry in cli.read_entries(player)} == {"opening", "orbit"}
        cli.assert_ledger_valid()
        assert SECRET not in provider.log.read_text() + server.read_log() + str(summary)


@pytest.mark.long
def test_the_provider_names_what_it_does_not_play(db: Path, tmp_path: Path) -> None:
    """A protocol without a dealer, and signed calls without a secret."""
    for folder, words in (
        (write_orbit_package(tmp_path / "played", "dealer"), "without --secret-file, only guests can play orbit"),
        (write_orbit_package(tmp_path / "bare"), "protocol 'orbit' has no dealer, so the demo does not play it"),
    ):
        with run_provider("http://127.0.0.1:9", db.parent, PYTHONPATH=join_pythonpath(folder)) as provider:
            provider.wait_for_output(words)
            assert provider.http.get("/").status_code == 200


@pytest.mark.long
def test_only_a_demo_that_runs_names_what_it_does_not_play(db: Path, tmp_path: Path) -> None:
    """A refused demo has one line, its error."""
    folder = write_orbit_package(tmp_path / "bare")
    with run_demo(tmp_path, "--rounds", 0, "--no-browser", PYTHONPATH=join_pythonpath(folder)) as demo:
        demo.wait_until_ready()
        assert "protocol 'orbit' has no dealer, so the demo does not play it\n" in demo.err.read_text()
    (cli := InProcessCli(db)).add_player()
    with installed(folder):
        refused = cli.run("demo", "--port", "0", "--provider-port", "0")
    assert_error_line(refused, 1, "players that are not of a demo")


@pytest.fixture
def demo(tmp_path: Path, orbit: Path) -> Iterator[DemoProcess]:
    """Run a demo with orbit."""
    with run_demo(tmp_path, "--rounds", 2, "--no-browser", PYTHONPATH=join_pythonpath(orbit)) as demo:
        demo.wait_until_ready()
        yield demo


@pytest.mark.long
def test_the_demo_plays_a_signed_protocol(demo: DemoProcess) -> None:
    """The players play it, and the printed URL opens a game with alice's money. No output has a secret."""
    cli = demo.cli
    entries = cli.read_entries("alice")
    assert {entry["game"] for entry in entries if entry["protocol"] == "orbit"} == {"slot", "fish", "zodiac"}
    said = demo.wait_until_ready()
    (url,) = re.findall(r"(http://\S+/play\?game=slot\S+)", said)
    page = httpx2.post(url, content="stake=1.00", headers={"origin": url.partition("/play")[0]}, trust_env=False)
    assert "alice" in page.text
    assert "Staked 1.00 USD" in page.text
    assert "orbit" in page.text
    cli.assert_ledger_valid()
    for scenario, words in (("win-twice", "Retry of a known id"), ("cancel-first", "id is closed permanently")):
        form = {"player": "bob", "game": "fish", "protocol": "orbit", "stake": "1.00", "trick": scenario}
        report = httpx2.post(f"{demo.page_url}/play", data=form, trust_env=False)
        assert report.status_code == 200
        assert words in report.text
        assert "report this as a bug" not in report.text
    entry = next(each for each in cli.read_entries("alice") if (each["protocol"], each["kind"]) == ("orbit", "bet"))
    shown = httpx2.get(f"{demo.page_url}/entries/{entry['seq']}", trust_env=False).text
    assert f"minwallet replay {entry['seq']}" in shown
    assert "session=TOKEN" in shown
    replayed = httpx2.post(f"{demo.page_url}/entries/{entry['seq']}/replay", trust_env=False)
    assert replayed.status_code == 200
    assert "No money moved, and no entry was made" in replayed.text
    (secret,) = cli("agent", "secret", "list", "default")["protocol_secrets"]
    assert secret["protocol"] == "orbit"
