"""Manual calls: as text, as a shell command, and sent."""

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.commands import Bet
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Kind
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import list_protocols, load_protocol
from minwallet.protocols.wire import Call
from minwallet.provider import manual_calls
from minwallet.storage.errors import StoreError
from minwallet.storage.models import JournaledEntry, JournalRecord
from minwallet.wallet.service import clock_ms
from tests.ledger.builders import NOW_MS, snapshot, written_entry
from tests.protocol_package import OWN_PROTOCOLS
from tests.support import InProcessCli, Server

BET = Bet("7", 250, "7", "it's", None)


def test_a_formatted_call_has_no_token() -> None:
    """The text has the method, the path and the query or body."""
    post = manual_calls.format_call("wallet-v2", Call("bet", "secrettoken", BET), 0)
    get = manual_calls.format_call("vela", Call("bet", "secrettoken", BET), 0)
    assert post.startswith('POST /wallet {"bet":250,"code":"TOKEN"')
    assert get == "GET /api/bet?access_token=TOKEN&ticket_id=7&total_bet=250&game_code=it%27s"


@pytest.mark.parametrize("protocol", list_protocols())
def test_the_shell_command_makes_the_same_call(server: Server, protocol: str) -> None:
    """Quotes are escaped: curl sends exactly the request."""
    written = manual_calls.format_call(protocol, Call("bet", "t", BET), clock_ms())
    _, target, *body = written.split(" ", 2)
    words = shlex.split(manual_calls.format_curl(server.url, written))
    assert words == ["curl", "--globoff", server.url + target, *(["--data-raw", body[0]] if body else [])]
    if protocol == "wallet-v2":
        assert json.loads(words[-1])["game"] == "it's"


@pytest.mark.parametrize("protocol", list_protocols())
def test_a_call_is_made(server: Server, protocol: str, tmp_path: Path) -> None:
    """The result has the status, the body and whether they are a success. A call of a signed protocol is signed."""
    cli, secret = InProcessCli(server.db), ""
    if load_protocol(protocol).signature:
        (file := tmp_path / "secret").write_text(secret := "a-secret-of-this-test")
        cli("agent", "secret", "add", "default", protocol, "--from-file", file)
    token = cli.open_session(player := cli.add_player(balance="3.00"))

    def bet(id_: str, url: str = server.url) -> manual_calls.CallResult:
        call = Call("bet", token, BET._replace(id=id_, round=id_, game="1012"), player, "USD")
        return asyncio.run(manual_calls.make_call(url, protocol, call, clock_ms(), secret=secret))

    made = bet(f"8{len(protocol)}")
    assert (made.http_status, made.is_success) == (200, True)
    assert token not in made.request
    more = bet(f"9{len(protocol)}")
    assert (more.is_success, "nsufficient" in more.reply.lower()) == (False, True)
    assert more.http_status == 200 or protocol not in OWN_PROTOCOLS
    lost = bet("7", f"{server.url}/elsewhere")
    assert (lost.http_status, lost.is_success) == (404, False)


def test_the_request_of_an_entry_comes_from_the_journal() -> None:
    """After pruning it is rebuilt with the same content; the operator's own entries have none."""
    bet = written_entry(decide(snapshot(), BET, NOW_MS))
    owner = AccountRef("default", "alice", "USD")
    assert (
        manual_calls.find_request(JournaledEntry(bet, owner, JournalRecord("POST /wallet {}", "{}")))
        == "POST /wallet {}"
    )
    again = manual_calls.find_request(JournaledEntry(bet, owner, None))
    assert again == manual_calls.format_call("wallet-v2", Call("bet", "t", BET), bet.at_ms)
    assert manual_calls.find_request(JournaledEntry(bet._replace(protocol="operator"), owner, None)) is None


def test_no_answer_raises_a_store_error() -> None:
    """The outcome of the call is unknown."""
    with pytest.raises(StoreError, match="may have been executed"):
        asyncio.run(manual_calls.make_call("http://127.0.0.1:9", "vela", Call("bet", "t", BET), 0))


def test_only_a_providers_call_can_be_made_again() -> None:
    """An entry of the operator has no provider call."""
    bet = written_entry(decide(snapshot(), BET, NOW_MS))._replace(protocol="vela")
    assert manual_calls.rebuild_call(bet, "t") == Call("bet", "t", BET)
    with pytest.raises(OperationError, match="operator's own deposit"):
        manual_calls.rebuild_call(bet._replace(protocol="operator", kind=Kind.DEPOSIT), "t")
