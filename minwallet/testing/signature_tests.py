"""The tests of a protocol that signs its requests. For one that does not, they are skipped."""

import pytest

from minwallet.ledger.commands import Bet
from minwallet.protocols.wire import HttpRequest, Malformed, SignatureScheme
from minwallet.testing.caller import Caller, new_id, parse_request
from minwallet.testing.money_cases import STAKE, plan_bet, plan_case

MAX_AGE_MS = 15 * 60_000
"""The longest time for which a signature may be valid, in ms."""

TOO_OLD_BY_MS = 60_000
"""The time by which a stale signature exceeds the limit, in ms."""

UNKNOWN_SECRET = "a-secret-that-nobody-has"  # noqa: S105 it opens nothing


class SignatureTests:
    """The rules of signed requests, by the fixtures of `ProtocolTests`."""

    @pytest.fixture
    def scheme(self, caller: Caller) -> SignatureScheme:
        """Return how the protocol signs. Skip the test if it does not."""
        if caller.protocol.signature is None:
            pytest.skip("its requests are not signed")
        return caller.protocol.signature

    def test_signature_is_read_and_computed(self, caller: Caller, scheme: SignatureScheme) -> None:
        """A signed request has the signature that its secret gives, and an unsigned one has none."""
        request = caller.protocol.build_request(plan_bet(caller), 0)
        signed = caller.sign(request)
        signature = scheme.read(signed)
        assert signature
        assert signature.value == scheme.compute(signed, caller.secret)
        assert signature.value != scheme.compute(signed, f"{caller.secret}x")
        assert caller.secret not in f"{signed}{signed.headers}"
        assert scheme.read(request) is None

    @pytest.mark.usefixtures("scheme")
    def test_unsigned_request_is_refused(self, caller: Caller) -> None:
        """A bet without a signature moves nothing."""
        self._assert_refused(caller, caller.protocol.build_request(plan_bet(caller), 0))

    @pytest.mark.usefixtures("scheme")
    def test_forged_signature_is_refused(self, caller: Caller) -> None:
        """A bet that is signed with a wrong secret moves nothing."""
        request = caller.protocol.build_request(plan_bet(caller), 0)
        self._assert_refused(caller, caller.sign(request, secret=UNKNOWN_SECRET))

    @pytest.mark.usefixtures("scheme")
    def test_request_that_is_changed_after_signing_is_refused(self, caller: Caller) -> None:
        """The signature covers the transaction: with another id it is wrong."""
        bet = plan_bet(caller)
        assert isinstance(bet.command, Bet)
        self._assert_refused(caller, replace_text(caller.build(bet), bet.command.id, new_id()))

    @pytest.mark.parametrize("sign", [-1, 1], ids=["past", "future"])
    def test_stale_signature_is_refused(self, caller: Caller, scheme: SignatureScheme, sign: int) -> None:
        """A request that is signed too long ago, or in the future, moves nothing."""
        request = caller.protocol.build_request(plan_bet(caller), 0)
        signature = scheme.read(caller.sign(request))
        if signature is None or signature.signed_at_ms is None:
            pytest.skip("its signatures have no time")
        assert scheme.max_age_ms <= MAX_AGE_MS
        self._assert_refused(caller, caller.sign(request, shift_ms=sign * (scheme.max_age_ms + TOO_OLD_BY_MS)))

    @pytest.mark.usefixtures("scheme")
    def test_the_same_signed_request_is_a_retry(self, caller: Caller) -> None:
        """The same bytes may come twice, and move money once."""
        request = caller.build(plan_bet(caller))
        total = caller.wallet.read_total(caller.player)
        assert [caller.exchange(request).is_success for _ in range(2)] == [True, True]
        assert caller.wallet.read_total(caller.player) == total - STAKE

    def test_nonce_is_used_once(self, caller: Caller, scheme: SignatureScheme) -> None:
        """Another request with the nonce of an earlier one is refused, although its signature is right."""
        first, second = (caller.build(plan_bet(caller)) for _ in range(2))
        used, unused = scheme.read(first), scheme.read(second)
        assert used
        assert unused
        if used.nonce is None or unused.nonce is None:
            pytest.skip("its signatures have no nonce")
        assert caller.exchange(first).is_success
        again = replace_text(second, unused.nonce, used.nonce)
        again = replace_text(again, unused.value, scheme.compute(again, caller.secret))
        self._assert_refused(caller, again)

    @pytest.mark.usefixtures("scheme")
    def test_secret_of_another_agent_reaches_no_player(self, caller: Caller, other_caller: Caller) -> None:
        """A secret is valid for the sessions and players of its own agent only."""
        request = caller.protocol.build_request(plan_bet(caller), 0)
        self._assert_refused(caller, caller.sign(request, secret=other_caller.secret))
        assert other_caller.call(plan_bet(other_caller)).is_success
        assert caller.call(plan_bet(caller)).is_success

    @pytest.mark.usefixtures("scheme")
    def test_several_secrets_are_valid_at_once(self, other_caller: Caller) -> None:
        """A new secret of the agent is valid beside the older one, so that the provider can change over."""
        newer = f"newer-{new_id()}"
        other_caller.wallet.add_secret(other_caller.player.agent, other_caller.protocol.name, newer)
        for secret in (newer, other_caller.secret):
            request = other_caller.protocol.build_request(plan_bet(other_caller), 0)
            assert other_caller.exchange(other_caller.sign(request, secret=secret)).is_success

    @pytest.mark.usefixtures("scheme")
    def test_call_without_a_session_moves_the_money_of_its_player(
        self, caller: Caller, other_caller: Caller, money_operation: str
    ) -> None:
        """A call without a session is for the player and the currency that it names, of the agent that signed it."""
        case = plan_case(caller, money_operation)
        call = case.call._replace(token="")
        if isinstance(parse_request(caller.protocol, caller.protocol.build_request(call, 0)), Malformed):
            pytest.skip("it always needs a session")
        for before in case.before:
            assert caller.call(before).is_success
        request = caller.protocol.build_request(call, 0)
        self._assert_refused(caller, caller.sign(request, secret=other_caller.secret))
        self._assert_refused(caller, caller.build(call._replace(player_id=f"nobody{new_id()}")))
        self._assert_refused(caller, caller.build(call._replace(currency="EUR")))
        total = caller.wallet.read_total(caller.player)
        assert caller.call(call).is_success
        assert caller.wallet.read_total(caller.player) == total + case.change

    def _assert_refused(self, caller: Caller, request: HttpRequest) -> None:
        total = caller.wallet.read_total(caller.player)
        assert not caller.exchange(request).is_success
        assert caller.wallet.read_total(caller.player) == total


def replace_text(request: HttpRequest, old: str, new: str) -> HttpRequest:
    """Return the request with another text in place of `old`, wherever it stands. Raise AssertionError if nowhere."""
    before, after = old.encode(), new.encode()
    changed = request._replace(
        query=request.query.replace(before, after),
        body=request.body.replace(before, after),
        headers=[(name, value.replace(before, after)) for name, value in request.headers],
    )
    assert changed != request, "the text does not stand in the request as it is"
    return changed
