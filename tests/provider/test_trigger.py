"""The calls that `minwallet trigger` makes of its options, for each command of the ledger."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from minwallet.ledger.commands import (
    Authenticate,
    Balance,
    Bet,
    BetWin,
    Cancel,
    Command,
    EndRound,
    Group,
    Rollback,
    RollbackRound,
    Settle,
    Win,
)
from minwallet.ledger.decide import decide
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import REDACTED, Call, HttpRequest, WireProtocol
from minwallet.provider.manual_calls import format_call, parse_request, rebuild_call
from minwallet.provider.service_client import choose_service_protocol, find_service_protocol
from minwallet.provider.trigger import InvalidCall, NoOpenBet, TriggerOptions, build_call, list_operations
from minwallet.storage.models import Agent
from tests.ledger.builders import NOW_MS, snapshot, written_entry
from tests.protocol_package import installed, write_protocol_package
from tests.storage.reference_engine.memory_store import MemoryStore

BET = written_entry(decide(snapshot(), Bet("b7", 250, "r7", "fish"), NOW_MS))
"""The newest open bet of the account."""

PROTOCOL = Path(__file__).parent / "every_command.py"


@pytest.fixture(autouse=True)
def every(tmp_path: Path) -> Iterator[None]:
    """Install a protocol with all commands."""
    with installed(write_protocol_package(tmp_path, PROTOCOL, name="every", object_name="EveryCommand")):
        yield


@pytest.mark.parametrize(
    ("options", "command"),
    [
        (TriggerOptions("balance"), Balance()),
        (TriggerOptions("authenticate"), Authenticate()),
        (TriggerOptions("bet", 5, id="n", game="g"), Bet("n", 5, "n", "g")),
        (TriggerOptions("bet", id="n", round="r", game="g"), Bet("n", 100, "r", "g")),
        (TriggerOptions("win", 5, id="n"), Win("n", 5, "r7", "fish")),
        (TriggerOptions("win", 5, id="n", game="g"), Win("n", 5, "r7", "g")),
        (TriggerOptions("win", 5, id="n", round="r"), Win("n", 5, "r", "fish")),
        (TriggerOptions("settle", 5), Settle("b7", 5, "fish")),
        (TriggerOptions("settle", 5, id="n"), Settle("n", 5, "fish")),
        (TriggerOptions("betwin", 5, 9, id="n", game="g"), BetWin("n", 5, 9, "g")),
        (TriggerOptions("cancel"), Cancel("b7", "r7")),
        (TriggerOptions("cancel", id="n"), Cancel("n", None)),
        (TriggerOptions("rollback", id="n"), Rollback("n", "b7")),
        (TriggerOptions("rollback", 5, id="n", references=("w",)), Rollback("n", "w", 5)),
        (TriggerOptions("rollbackround", id="n"), RollbackRound("n", "r7")),
        (TriggerOptions("rollbackround", id="n", round="r"), RollbackRound("n", "r")),
        (TriggerOptions("endround", id="n"), EndRound("n", "r7", "fish")),
        (TriggerOptions("batch", 5, 9, id="n", game="g"), Group((Bet("n", 5, "n", "g"), Win("nw", 9, "n", "g")))),
        (TriggerOptions("wins", 5, id="n", game="g"), Group((Win("n", 5, "r7", "g"),))),
    ],
)
def test_the_operation_decides_about_the_command(options: TriggerOptions, command: Command) -> None:
    """What the options do not say is about the newest open bet. Of a group, the protocol takes the one that it has."""
    call = build_call("every", options, BET, "ann", "USD")
    assert call.command == command
    assert (call.token, call.player_id, call.currency) == (REDACTED, "ann", "USD")


@pytest.mark.parametrize(
    ("operation", "used"),
    [
        ("balance", ""),
        ("authenticate", ""),
        ("bet", "amount id round game"),
        ("win", "amount id round game"),
        ("settle", "amount id round game"),
        ("betwin", "amount win id game"),
        ("cancel", "id round"),
        ("rollback", "amount id reference round"),
        ("rollbackround", "id round"),
        ("endround", "id round game"),
        ("batch", "amount win id round game"),
        ("wins", "amount id round game"),
    ],
)
def test_an_option_that_the_call_does_not_use_is_an_error(operation: str, used: str) -> None:
    """It is not ignored, as the call could move other money than the option says."""
    values: dict[str, Any] = {"amount": 5, "win": 6, "id": "x", "references": ("x",), "round": "r", "game": "g"}
    for option, value in values.items():
        name = option.removesuffix("s")
        options = TriggerOptions(operation)._replace(**{option: value})
        if name in used.split():
            assert build_call("every", options, BET, "ann", "USD").operation == operation
        else:
            with pytest.raises(InvalidCall, match=f"'{operation}' of protocol 'every' does not use --{name}"):
                build_call("every", options, BET, "ann", "USD")


def test_an_option_that_the_protocol_does_not_send_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A protocol without partial refunds would return the whole bet."""
    every = type(load_protocol("every"))
    build_request = every.build_request

    def drop_amount(self: WireProtocol, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        assert isinstance(call.command, Rollback)
        whole = call._replace(command=call.command._replace(amount=None))
        return build_request(self, whole, now_ms, wallet_token)

    monkeypatch.setattr(every, "build_request", drop_amount)
    with pytest.raises(InvalidCall, match="the call 'rollback' of protocol 'every' has no amount; omit --amount"):
        build_call("every", TriggerOptions("rollback", 5), BET, "ann", "USD")
    assert build_call("every", TriggerOptions("rollback"), BET, "ann", "USD")


@pytest.mark.parametrize("operation", ["settle", "cancel", "rollback", "rollbackround", "endround"])
def test_a_call_about_an_earlier_bet_needs_one(operation: str) -> None:
    """Another call needs none, and a win then names no round."""
    with pytest.raises(NoOpenBet):
        build_call("every", TriggerOptions(operation), None, "ann", "USD")
    win = build_call("every", TriggerOptions("win", id="n", game="g"), None, "ann", "USD")
    assert win.command == Win("n", 100, None, "g")


def test_new_ids_are_numbers() -> None:
    """Each protocol can have them, whatever its ids are."""
    command = build_call("every", TriggerOptions("bet"), None, "ann", "USD").command
    assert isinstance(command, Bet)
    assert command.id.isdigit()


def test_a_call_that_the_protocol_does_not_take_is_an_error() -> None:
    """A number in another spelling is one, as the ledger would have another id. So is a second reference."""
    with pytest.raises(InvalidCall, match="invalid id '007': the protocol reads it as '7'"):
        build_call("vela", TriggerOptions("bet", id="007"), None, "ann", "USD")
    with pytest.raises(InvalidCall, match="invalid round 'r': the protocol reads it as '7'"):
        build_call("vela", TriggerOptions("bet", id="7", round="r"), None, "ann", "USD")
    with pytest.raises(InvalidCall, match="'vela' does not accept this call: Invalid Transaction ID"):
        build_call("vela", TriggerOptions("bet", id="x"), None, "ann", "USD")
    with pytest.raises(InvalidCall, match="takes one --reference"):
        build_call("every", TriggerOptions("rollback", references=("a", "b")), None, "ann", "USD")


def test_every_operation_is_listed_with_its_protocols() -> None:
    """The order is that of the protocols."""
    found = list_operations()
    assert found["bet"][0] == "every"
    assert {"vela", "wallet-v2"} <= {*found["bet"]}
    assert found["endround"] == ["every"]


def test_a_request_finds_its_route() -> None:
    """The parts in braces are parameters. Another path or method is none of the protocol's."""
    protocol = load_protocol("every")
    request = protocol.build_request(build_call("every", TriggerOptions("bet"), None, "ann", "USD"), 0, "w_1")
    assert parse_request(protocol, request)
    for other in (request._replace(method="POST"), request._replace(path="/every/a/b/calls")):
        assert parse_request(protocol, other) is None


def test_a_missing_method_of_a_protocol_is_one_sentence() -> None:
    """The package says neither how to rebuild a call nor why it cannot."""
    with pytest.raises(OperationError, match="'every' cannot rebuild the call of entry 1: its package does not"):
        rebuild_call(BET._replace(protocol="every", seq=1), "t")
    call = build_call("every", TriggerOptions("bet"), None, "ann", "USD")._replace(operation="wins")
    with pytest.raises(OperationError, match="'every' cannot build the call 'wins': only wins"):
        format_call("every", call, 0)


def test_an_agent_uses_the_service_of_its_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single protocol with a service is the one. Of several, it is that of the agent's entries."""
    assert choose_service_protocol() == "vela"
    with pytest.raises(OperationError, match="'wallet-v2' has no game list and no report"):
        asyncio.run(find_service_protocol(MemoryStore(), Agent(1, "default", "default", None), "wallet-v2"))
    every = load_protocol("every")
    monkeypatch.setattr(type(every), "operator_service", "minwallet.protocols.vela_service:VelaService")
    for used in ((), ("every", "vela")):
        with pytest.raises(OperationError, match="several protocols have a game list and a report: every, vela"):
            choose_service_protocol(used)
    assert choose_service_protocol(("every", "wallet-v2", "opening")) == "every"
    monkeypatch.undo()
    monkeypatch.setattr(type(load_protocol("vela")), "operator_service", None)
    with pytest.raises(OperationError, match="no installed protocol has a game list"):
        choose_service_protocol()
