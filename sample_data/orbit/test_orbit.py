"""The money rules, the signatures and the golden pairs, played with orbit against a wallet in a temporary file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from minwallet_orbit import Orbit

from minwallet.ledger.commands import Bet, Group, Rollback
from minwallet.testing import Caller, ProtocolTests, TemporaryWallet, new_id

SIGNING_KEY = "a-secret-of-the-example-0123456789"


class TestOrbit(ProtocolTests):
    """The tests of minwallet.testing for orbit."""

    protocol = Orbit
    golden_pairs = Path(__file__).with_name("orbit.json")


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    """Return a caller of a running wallet, for a player with 100.00."""
    with TemporaryWallet() as wallet:
        wallet.add_secret("default", Orbit.name, SIGNING_KEY)
        yield Caller(wallet, Orbit(), wallet.add_player(cash=100_00), SIGNING_KEY)


def test_each_header_of_the_signature_occurs_once(caller: Caller) -> None:
    """A request that has one twice is refused, even if both are the same."""
    signed = caller.build(caller.plan("bet", Bet(new_id(), 5_00, new_id())))
    headers = [header for header in signed.headers if header[0].startswith(b"x-")]
    assert len(headers) == 3
    for name, value in headers:
        for repeated in ([(name, b"1"), *signed.headers], [*signed.headers, (name, value)]):
            assert caller.exchange(signed._replace(headers=repeated)).read.code == "BAD_SIGNATURE"
    assert caller.exchange(signed).total == 95_00


def test_a_rollback_returns_each_bet_once_whatever_its_id(caller: Caller) -> None:
    """The id of a rollback may come again with other references. The known ones are retries."""
    player = caller.wallet.add_player(cash=100_00)
    caller = Caller(caller.wallet, caller.protocol, player, SIGNING_KEY)
    bets = [new_id() for _ in range(3)]
    for bet in bets:
        assert caller.call(caller.plan("bet", Bet(bet, 10_00, new_id()))).is_success
    id_ = new_id()
    for references, total in ((bets[:1], 80_00), (bets[:2], 90_00), (bets[1:], 100_00), (bets, 100_00)):
        rollback = caller.plan("rollback", Group(tuple(Rollback(id_, reference) for reference in references)))
        assert caller.call(rollback).total == total
    other = caller.plan("rollback", Group((Rollback(new_id(), bets[0]),)))
    answer = caller.call(other)
    assert (answer.is_success, answer.total) == (False, 100_00)
    caller.wallet.verify()
