"""Conformance cases of a protocol package: signed form requests with text ids, decimals, partial refunds and groups."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from minwallet.conformance import NoCases, list_tested_protocols, load_suite
from minwallet.conformance.balances import SetupError
from minwallet.conformance.client import Client
from minwallet.conformance.command_requests import CommandRequests
from minwallet.conformance.request_fields import read_fields, write_fields
from minwallet.conformance.runner import CaseResult, Leftovers, Runner
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import Call, HttpRequest
from tests.conformance.flaws import ExecutedCall
from tests.conformance.reference_wallet import SECRET, TOKENS, ReferenceWallet, run_app
from tests.orbit_package import write_orbit_package
from tests.protocol_package import installed, write_protocol_package

ACCOUNTS = {
    "token": ("alice", "USD"),
    "second": ("bob", "USD"),
    "currency": ("alice", "EUR"),
    "blocked": ("eve", "USD"),
}


@pytest.fixture(autouse=True)
def orbit(tmp_path: Path) -> Iterator[None]:
    """Install orbit with its cases."""
    with installed(write_orbit_package(tmp_path / "orbit", "conformance")):
        yield
        sys.modules.pop("tests.conformance.orbit_suite", None)


class RefundsTwice(ReferenceWallet):
    """A wallet that pays each refund in full, whatever was refunded before."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if call.operation == "refund" and bearer:
            await self.move_money(bearer, 5)
        return outcome, bearer


class ChecksNoSignature(ReferenceWallet):
    """A wallet that accepts any signature."""

    def has_valid_signature(self, request: HttpRequest) -> bool:
        return True


def run_cases(wallet: ReferenceWallet, secret: str = SECRET) -> tuple[list[CaseResult], Leftovers]:
    suite = load_suite("orbit")
    with (
        run_app(wallet) as url,
        Client(suite, url, TOKENS | {"unknown": "nobody"}, 5, secret=secret, accounts=ACCOUNTS) as client,
    ):
        runner = Runner(client, 1_000, race_delays_s=(0,))
        return list(runner.run(suite.cases)), runner.collect_leftovers()


def list_failed(results: list[CaseResult]) -> set[str]:
    return {each.name for each in results if each.verdict != "pass"}


def test_a_correct_wallet_passes() -> None:
    """All cases pass, and all balances are restored."""
    results, leftovers = run_cases(ReferenceWallet("orbit"))
    assert [each for each in results if each.verdict != "pass"] == []
    assert set(leftovers.balance_changes.values()) == {0}
    assert leftovers.open_bets == ()
    sent = next(each for each in results if each.name == "refund-in-parts").sent
    assert "transaction_id=tx-" in sent[0]
    assert "amount=0.02" in sent[1]


def test_a_wallet_without_signatures_fails_their_cases() -> None:
    """A wallet that executes forged and old requests fails, and no other case does."""
    results, _ = run_cases(ChecksNoSignature("orbit"))
    assert list_failed(results) == {"unsigned", "forged", "stale"}


def test_a_wallet_that_refunds_too_much_fails() -> None:
    """The balances show it, whatever the wallet replies."""
    failed = list_failed(run_cases(RefundsTwice("orbit"))[0])
    assert {"refund", "refund-in-parts", "refund-first"} <= failed
    assert not failed & {"bet", "win", "unsigned", "rollback"}


def test_a_wrong_secret_is_found_before_the_first_case() -> None:
    """The error has the wallet's reply."""
    with pytest.raises(SetupError, match=r"no balance for --token.*BAD_SIGNATURE"):
        run_cases(ReferenceWallet("orbit"), secret="not the wallet's")


def test_a_faulty_suite_of_a_package_is_named(tmp_path: Path) -> None:
    """The suites of other protocols stay usable."""
    source = (
        "from minwallet.protocols.vela import Vela\n"
        "class Broken(Vela):\n    name, routes, conformance = 'broken', (), 'no_such_module:SUITE'\n"
    )
    source = source.replace("(), 'no", "Vela.routes, 'no")
    source = source.replace("Vela.routes", "[each._replace(path='/broken' + each.path) for each in Vela.routes]")
    with installed(write_protocol_package(tmp_path / "broken", source, name="broken", object_name="Broken")):
        assert "broken" in list_tested_protocols()
        with pytest.raises(NoCases, match="cases of protocol 'broken' cannot be loaded: ModuleNotFoundError"):
            load_suite("broken")
        assert load_suite("vela").cases


def test_requests_are_built_from_the_commands_of_a_protocol() -> None:
    """A command that the protocol does not have raises LookupError."""
    vela = CommandRequests(load_protocol("vela"))
    assert [each.operation for each in (vela.query(), vela.bet("a", 1), vela.settle("a", 2), vela.cancel("a"))] == [
        *("authenticate", "bet", "result", "refund")
    ]
    assert vela.betwin("a", 1, 2).describe(100) == "betwin a 1.00 2.00"
    with pytest.raises(LookupError, match="vela has no operation for Rollback"):
        vela.rollback("b", "a")
    orbit = CommandRequests(load_protocol("orbit"))
    group = orbit.group(orbit.rollback("b", "a", 1), orbit.rollback("c", "a", 2))
    assert (group.operation, group.describe(1)) == ("rollback", "group of rollback b of a, rollback c of a 0.01 0.02")


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("POST", "/x", body=b'{"a": "1", "b": "2"}'),
        HttpRequest(
            "POST", "/x", body=b"a=1&b=2", headers=[(b"content-type", b"application/x-www-form-urlencoded; c=d")]
        ),
        HttpRequest("GET", "/x", b"a=1&b=2"),
    ],
    ids=["json", "form", "query"],
)
def test_fields_are_changed_in_the_encoding_of_the_request(request_: HttpRequest) -> None:
    """The rest of the request stays as it is."""
    assert read_fields(request_) == {"a": "1", "b": "2"}
    changed = write_fields(request_, {"a": "&", "c": "3"})
    assert read_fields(changed) == {"a": "&", "c": "3"}
    assert write_fields(changed, {"a": "1", "b": "2"}) == request_


@pytest.mark.parametrize("body", [b"[1]", b"no JSON"])
def test_a_body_without_fields_is_an_error(body: bytes) -> None:
    """A case that changes a field of such a request is a bug of the case."""
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        read_fields(HttpRequest("POST", "/x", body=body))
