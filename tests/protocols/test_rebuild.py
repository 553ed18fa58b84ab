"""Calls in the ledger and the journal: a call can be made again from its entry, and its token is never stored."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.commands import Adjust, Bet, BetWin, Cancel, Deposit, MoneyCommand, Settle, Win, Withdraw
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import compute_genesis_hash
from minwallet.ledger.outcomes import Applied
from minwallet.ledger.snapshot import Account, Round, Session, Snapshot, TransactionHistory
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest, Malformed

NOW_MS = 1_695_266_603_000
ACCOUNT = Account(1, 10_000, 500, compute_genesis_hash("default", "ann", "USD"))

CALLS = [
    ("wallet-v2", "bet", Bet("9", 500, "9", "1012")),
    ("wallet-v2", "bet", Bet("9", 500, "8", "fish")),
    ("wallet-v2", "win", Win("9", 700, "8", "1012")),
    ("wallet-v2", "win", Win("9", 0, None, "1012")),
    ("wallet-v2", "cancel", Cancel("9", "9")),
    ("vela", "bet", Bet("9", 500, "9", "fish", '{"key":"red"}')),
    ("vela", "result", Settle("9", 700, "fish", '{"total_used":100}')),
    ("vela", "betwin", BetWin("9", 500, 900)),
    ("vela", "refund", Cancel("9")),
]


def apply_command(protocol: str, command: MoneyCommand) -> Applied:
    history = TransactionHistory()
    if isinstance(command, Settle):
        history = TransactionHistory(apply_command(protocol, Bet(command.id, 5, command.id)).entry)
    snapshot = Snapshot(protocol, ACCOUNT, False, Session(None, None), history, Round(), 3)
    outcome = decide(snapshot, command, NOW_MS)
    assert isinstance(outcome, Applied)
    return outcome


@pytest.mark.parametrize(("protocol", "operation", "command"), CALLS)
def test_rebuild_returns_the_original_call(protocol: str, operation: str, command: MoneyCommand) -> None:
    """A provider's call is rebuilt completely from the entry that it created."""
    entry = apply_command(protocol, command).entry
    assert load_protocol(protocol).rebuild(entry, "t") == Call(operation, "t", command)


@pytest.mark.parametrize("protocol", ["wallet-v2", "vela"])
@pytest.mark.parametrize("command", [Deposit("r", 5), Withdraw("r", 5), Adjust("r", -5)])
def test_an_operators_entry_cannot_be_rebuilt(protocol: str, command: MoneyCommand) -> None:
    """No protocol has a request for a deposit, a withdrawal or an adjustment."""
    with pytest.raises(ValueError, match="has no"):
        load_protocol(protocol).rebuild(apply_command("operator", command).entry, "t")


def redact(protocol: str, operation: str, raw: str) -> str:
    wire_protocol = load_protocol(protocol)
    request = HttpRequest("POST", "/wallet", body=raw.encode())
    if protocol == "vela":
        request = HttpRequest("GET", "/api", raw.encode())
    call = wire_protocol.parse(request, operation)
    assert not isinstance(call, Malformed)
    return wire_protocol.redact(call, request, NOW_MS)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (
            '{"type": "cancel",  "code": "abc_1", "id": 5, "more": [1, 2]}',
            '{"type": "cancel",  "code": "TOKEN", "id": 5, "more": [1, 2]}',
        ),
        ('{"type":"cancel","code":"abc\\u005f1","id":5}', '"code":"TOKEN","type":"cancel"'),
        ('{"type":"cancel","code":"abc_1","id":5,"note":"it is abc_1"}', '"code":"TOKEN","type":"cancel"'),
        ('{"type":"cancel","code":"abc_1","id":5,"x":"\\u0061bc_1"}', '"code":"TOKEN","type":"cancel"'),
        ('{"type":"cancel","code":"abc_1","id":5,"x":"http://h/?s=%61bc_1"}', '"code":"TOKEN","type":"cancel"'),
        ('{"type":"cancel","code":"5","id":5}', '"code":"TOKEN","type":"cancel"'),
        ('{"type":"bet","code":"abc_1","bet":1,"id":5,"game":"abc_1"}', '"game":"TOKEN"'),
        ('{"type":"bet","code":"abc_1","bet":1,"id":5,"game":"x\\u0061bc_1"}', '"game":"xTOKEN"'),
    ],
)
def test_a_wallet_v2_request_is_redacted(raw: str, kept: str) -> None:
    """A request is stored verbatim but for its token, or rebuilt if the token is escaped or occurs twice."""
    redacted = redact("wallet-v2", "", raw)
    assert kept in redacted
    assert not {"abc", "bc_1", "u005f"} & set(re.findall(r"abc|bc_1|u005f", redacted))


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("ticket_id=5&access_token=abc_1&x=%FF", "ticket_id=5&access_token=TOKEN&x=%FF"),
        ("ticket_id=5&access_token=ab%63_1", "access_token=TOKEN&ticket_id=5"),
        ("ticket_id=5&access%5Ftoken=abc_1", "access_token=TOKEN&ticket_id=5"),
        ("ticket_id=5&access_token=abc_1&session=%61%62c_1", "access_token=TOKEN&ticket_id=5"),
        ("ticket_id=5&access_token=abc_1&y=abc_1", "access_token=TOKEN&ticket_id=5"),
    ],
)
def test_a_vela_request_is_redacted(raw: str, kept: str) -> None:
    """A query is stored verbatim but for its token, or rebuilt if the token is encoded or occurs twice."""
    assert redact("vela", "refund", raw) == kept


def test_the_token_as_the_game_or_key_of_a_bet_is_redacted() -> None:
    """Also within a longer text, and percent-encoded."""
    redacted = redact("vela", "bet", "access_token=abc_1&ticket_id=5&total_bet=1&game_code=x%61bc_1&key=abc_1")
    assert redacted == "access_token=TOKEN&ticket_id=5&total_bet=1&key=TOKEN&game_code=xTOKEN"
    redacted = redact("vela", "result", "access_token=5&ticket_id=5&total_win=1&game_code=5&total_used=5")
    assert redacted == "access_token=TOKEN&ticket_id=5&total_win=1&total_used=5&game_code=TOKEN"


@given(st.sampled_from(CALLS), st.text("abc_12", min_size=1, max_size=40).map(lambda text: f"z{text}"))
def test_no_redacted_request_contains_the_token(sent: tuple[str, str, MoneyCommand], token: str) -> None:
    """This holds for every call of both protocols, and for every token."""
    protocol, operation, command = sent
    wire_protocol = load_protocol(protocol)
    exchange = wire_protocol.build_request(Call(operation, token, command), NOW_MS)
    redacted = wire_protocol.redact(Call(operation, token, command), exchange, NOW_MS)
    assert token not in redacted
    assert "TOKEN" in redacted


def test_a_request_is_printed_on_one_line() -> None:
    """`str` of a request is its method, target and body."""
    call = Call("refund", "t", Cancel("5"))
    assert str(load_protocol("vela").build_request(call, NOW_MS)) == "GET /api/refund?access_token=t&ticket_id=5"
    credit = load_protocol("wallet-v2").build_request(Call("cancel", "t", Cancel("5")), NOW_MS)
    assert str(credit).startswith('POST /wallet {"code":"t"')
