"""Calls by hand: as text, as a shell command, and made."""

import json
import shlex

import pytest

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.commands import Bet
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Kind
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import PROTOCOLS
from minwallet.protocols.wire import Call
from minwallet.provider import calls
from minwallet.storage.errors import StoreError
from minwallet.storage.models import JournaledEntry, JournalRecord
from minwallet.wallet.service import clock_ms
from tests.ledger.builders import NOW_MS, snapshot, written_entry
from tests.support import Here, Server

BET = Bet("7", 250, "7", "it's", None)


def test_a_request_is_written_down_without_its_token() -> None:
    """Method, path, and what else there is."""
    post = calls.write_down("wallet-v2", Call("bet", "secrettoken", BET), 0)
    get = calls.write_down("vela", Call("bet", "secrettoken", BET), 0)
    assert post.startswith('POST /wallet {"bet":250,"code":"TOKEN"')
    assert get == "GET /api/bet?access_token=TOKEN&ticket_id=7&total_bet=250&game_code=it%27s"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_shell_command_makes_the_same_call(server: Server, protocol: str) -> None:
    """Whatever quotes are in it: what curl would send is what was written down."""
    written = calls.write_down(protocol, Call("bet", "t", BET), clock_ms())
    _, target, *body = written.split(" ", 2)
    words = shlex.split(calls.as_curl(server.url, written))
    assert words == ["curl", "--globoff", server.url + target, *(["--data-raw", body[0]] if body else [])]
    if body:
        assert json.loads(words[-1])["game"] == "it's"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_call_is_made(server: Server, protocol: str) -> None:
    """And what came back is told: the status, the words, and whether they are a success."""
    here = Here(server.db)
    token = here.session(here.player(balance="3.00"))
    made = calls.make(server.url, protocol, Call("bet", token, BET._replace(id=f"8{len(protocol)}")), clock_ms())
    assert (made.http_status, made.is_success) == (200, True)
    assert token not in made.request
    more = calls.make(server.url, protocol, Call("bet", token, BET._replace(id=f"9{len(protocol)}")), clock_ms())
    assert (more.http_status, more.is_success, "nsufficient" in more.reply.lower()) == (200, False, True)
    lost = calls.make(f"{server.url}/elsewhere", protocol, Call("bet", token, BET), clock_ms())
    assert (lost.http_status, lost.is_success) == (404, False)


def test_the_request_of_an_entry_is_what_was_kept() -> None:
    """Or one of the same content, once it is no longer kept; the operator's own entries have none."""
    bet = written_entry(decide(snapshot(), BET, NOW_MS))
    owner = AccountRef("default", "alice", "USD")
    assert calls.request_of(JournaledEntry(bet, owner, JournalRecord("POST /wallet {}", "{}"))) == "POST /wallet {}"
    again = calls.request_of(JournaledEntry(bet, owner, None))
    assert again == calls.write_down("wallet-v2", Call("bet", "t", BET), bet.at_ms)
    assert calls.request_of(JournaledEntry(bet._replace(protocol="operator"), owner, None)) is None


def test_silence_is_a_fault() -> None:
    """Nobody knows what became of the call."""
    with pytest.raises(StoreError, match="may have been carried out"):
        calls.make("http://127.0.0.1:9", "vela", Call("bet", "t", BET), 0)


def test_only_a_providers_call_can_be_made_again() -> None:
    """What the operator moved has none."""
    bet = written_entry(decide(snapshot(), BET, NOW_MS))._replace(protocol="vela")
    assert calls.recall(bet, "t") == Call("bet", "t", BET)
    with pytest.raises(OperationError, match="operator's own deposit"):
        calls.recall(bet._replace(protocol="operator", kind=Kind.DEPOSIT), "t")
