"""The tests of a protocol: its own rules, and the rules of money over HTTP.

Derive a class from `ProtocolTests` and name the protocol and its golden pairs:

    class TestPico(ProtocolTests):
        protocol = PicoProtocol
        golden_pairs = "golden_pairs.json"
"""

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from minwallet.ledger.commands import Authenticate, Balance, Group
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Refused, Unauthenticated
from minwallet.protocols.packages import InvalidPackage
from minwallet.protocols.protocol_checks import build_protocol
from minwallet.protocols.wire import AccountHolder, Call, Launch, Malformed, RetryBalance, WireProtocol
from minwallet.testing.altered_requests import alter_request, assert_in_order
from minwallet.testing.caller import Caller, new_id, parse_request
from minwallet.testing.golden_pairs import WirePair, load_pairs
from minwallet.testing.money_cases import (
    PAYOUT,
    REVERSALS,
    STAKE,
    list_money_operations,
    plan_bet,
    plan_case,
    plan_reversal,
)
from minwallet.testing.signature_tests import SignatureTests
from minwallet.testing.temporary_wallet import DEFAULT_AGENT, TemporaryWallet

BALANCE = 100_00
"""The cash of each new player, in cents."""

PARALLEL = 8
"""The number of calls that are sent at the same time."""

ALTERED_REQUESTS, SENT_ALTERED_REQUESTS = 300, 10
"""The number of altered requests of each operation that are parsed, and of those that are sent."""

HTTP_ERRORS = (401, 403, 405, 413, 414, 429, 503)

SECRET, OTHER_SECRET = "secret-of-the-tests-0123456789", "secret-of-another-agent-9876543210"


class ProtocolTests(SignatureTests):
    """The tests of `protocol`. The package must be installed, or in the folder that MINWALLET_PLUGINS names."""

    protocol: ClassVar[type[WireProtocol]]
    golden_pairs: ClassVar[str | Path] = ""
    """The file with the golden pairs; a relative path starts in the folder of the derived class."""
    settings: ClassVar[Mapping[str, str]] = {}
    """Settings of the wallet by the names of the environment variables."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test for each operation or golden pair that it has as a parameter.

        A protocol that minwallet does not load fails here, so that the reason is shown once.
        """
        try:
            protocol = build_protocol(self.protocol.name, self.protocol)
        except InvalidPackage as error:
            raise pytest.Collector.CollectError(f"protocol {self.protocol.name!r} is not used: {error}") from error
        reversals = [name for name, kind in protocol.operations.items() if kind in {*REVERSALS, Group}]
        values = {
            "operation": list(protocol.operations),
            "money_operation": list_money_operations(protocol),
            "reversal": reversals,
        }
        for name, operations in values.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, operations)
        if "pair" in metafunc.fixturenames:
            pairs = self._load_pairs()
            metafunc.parametrize("pair", pairs, ids=[pair.name for pair in pairs])

    def _load_pairs(self) -> list[WirePair]:
        if not self.golden_pairs:
            return []
        return load_pairs(Path(inspect.getfile(type(self))).parent / self.golden_pairs)

    @pytest.fixture(scope="class")
    @classmethod
    def wallet(cls) -> Iterator[TemporaryWallet]:
        """Yield a wallet in which the default agent has the secret of the tests."""
        protocol = cls.protocol()
        with TemporaryWallet(cls.settings) as wallet:
            found = [each for each in wallet.run("protocols")["protocols"] if each["name"] == protocol.name]
            if not any(each["is_usable"] for each in found):
                advice = "install its package, or set MINWALLET_PLUGINS"
                reason = f"used: {found[0]['problem']}" if found else f"installed: {advice}"
                pytest.fail(f"protocol {protocol.name!r} is not {reason}", pytrace=False)
            if protocol.signature:
                wallet.add_secret(DEFAULT_AGENT, protocol.name, SECRET)
            yield wallet

    @pytest.fixture
    def caller(self, wallet: TemporaryWallet) -> Caller:
        """Return a caller for a new player of the default agent."""
        return Caller(wallet, self.protocol(), wallet.add_player(cash=BALANCE), SECRET)

    @pytest.fixture(scope="class")
    @classmethod
    def other_agent(cls, wallet: TemporaryWallet) -> str:
        """Return another agent, which has another secret."""
        agent, protocol = wallet.add_agent(), cls.protocol()
        if protocol.signature:
            wallet.add_secret(agent, protocol.name, OTHER_SECRET)
        return agent

    @pytest.fixture
    def other_caller(self, wallet: TemporaryWallet, other_agent: str) -> Caller:
        """Return a caller for a new player of another agent."""
        return Caller(wallet, self.protocol(), wallet.add_player(cash=BALANCE, agent=other_agent), OTHER_SECRET)

    # The protocol without a wallet

    def test_golden_pair_is_parsed_and_built(self, pair: WirePair) -> None:
        """A golden request is parsed and built again with the same fields, and its reply is parsed."""
        pair.check_both_ways(self.protocol())

    def test_every_operation_has_a_golden_pair(self) -> None:
        """Each operation has at least one golden request."""
        if not (pairs := self._load_pairs()):
            pytest.skip("no golden pairs")
        protocol = self.protocol()
        calls = [parse_request(protocol, pair.fill_request({})) for pair in pairs]
        assert {call.operation for call in calls if isinstance(call, Call)} == set(protocol.operations)

    def test_built_request_is_parsed_to_the_same_call(self, caller: Caller, operation: str) -> None:
        """A request of `build_request` is parsed to the same call, with the declared name and kind of command."""
        call = self._plan(caller, operation)
        assert caller.plan(operation, call.command) == call
        assert call.operation == operation
        assert type(call.command) is caller.protocol.operations[operation]
        assert call.token == caller.player.token
        assert call.player_id in ("", caller.player.player_id)
        assert call.currency in ("", caller.player.currency)
        request = str(caller.protocol.build_request(call._replace(player_id="named-player", currency="XTS"), 0))
        assert call.player_id or "named-player" not in request, "the request names the player, but the call does not"
        assert call.currency or "XTS" not in request, "the request names the currency, but the call does not"

    def test_journal_does_not_contain_the_token(self, caller: Caller, operation: str) -> None:
        """The text of a request for the journal lacks the session's token."""
        call = self._plan(caller, operation)
        text = caller.protocol.redact(call, caller.build(call), 0)
        assert text
        assert call.token not in text
        assert not caller.protocol.signature or SECRET not in text

    def test_altered_requests_are_parsed_without_an_exception(self, caller: Caller, operation: str) -> None:
        """Any request is parsed to a call in the ledger's ranges, or to an error that can be rendered."""
        request = caller.build(self._plan(caller, operation))
        for number in range(ALTERED_REQUESTS):
            altered = alter_request(request, number)
            call = parse_request(caller.protocol, altered)
            assert_in_order(caller.protocol, call)
            if isinstance(call, Malformed):
                assert caller.player.token not in call.message, "the message of a Malformed contains the token"

    def test_every_refusal_is_an_error(self, caller: Caller) -> None:
        """No refusal is rendered as a success, with or without a session."""
        protocol, bet = caller.protocol, plan_bet(caller)
        holder = AccountHolder(caller.player.player_id, caller.player.currency)
        for refusal in Refusal:
            response = protocol.render(bet, Unauthenticated(refusal), None, 0)
            assert protocol.parse_response(response).code != 0, refusal
            response = protocol.render(bet, Refused(refusal, BALANCE, 0), holder, 0)
            assert protocol.parse_response(response).code != 0, refusal

    def test_every_http_error_has_a_reply(self, caller: Caller) -> None:
        """Each HTTP error has a reply that is read as an error."""
        for status in HTTP_ERRORS:
            malformed = Malformed("", caller.protocol.error_code_for_status(status), "a test")
            response = caller.protocol.render_error(malformed, 0)
            assert caller.protocol.parse_response(response).code != 0, status

    def test_launch_url_opens_the_game_of_the_session(self, caller: Caller) -> None:
        """A launch URL is parsed to its game and token, and does not contain the secret."""
        player = caller.player
        names = {"player_id": player.player_id, "currency": player.currency, "secret": SECRET}
        launch = Launch("https://games.example/1012", "1012", "en", player.token, player.agent, **names)
        try:
            url = caller.protocol.build_launch_url(launch)
        except NotImplementedError:
            pytest.skip("no launch URL")
        assert SECRET not in url
        assert caller.protocol.parse_launch_url(url).token == player.token

    # Over HTTP

    def test_golden_pair_gets_its_reply(self, wallet: TemporaryWallet, pair: WirePair) -> None:
        """The request of a new player gets exactly the golden reply."""
        pair.check_reply(wallet, self.protocol(), f"{new_id()}-secret-of-this-pair")

    def test_retry_moves_nothing(self, caller: Caller, money_operation: str) -> None:
        """A call moves its money once. Its retry succeeds, moves nothing, and shows the balance as declared."""
        case, wallet = plan_case(caller, money_operation), caller.wallet
        for call in case.before:
            assert caller.call(call).is_success
        total = wallet.read_total(caller.player) + case.change
        first = caller.call(case.call)
        assert first.is_success, first
        assert wallet.read_total(caller.player) == total
        assert first.total in (None, total)
        wallet.deposit(caller.player, 1_00)
        retry = caller.call(case.call)
        assert retry.is_success, retry
        assert wallet.read_total(caller.player) == total + 1_00
        shown = total if caller.protocol.retry_balance is RetryBalance.FIRST else total + 1_00
        assert retry.total in (None, shown)

    def test_known_id_with_other_content_is_refused(self, caller: Caller, money_operation: str) -> None:
        """An id that was applied is refused with another amount, reference or round, and moves nothing."""
        case, wallet = plan_case(caller, money_operation), caller.wallet
        if case.other is None:
            pytest.skip("its id is its whole content, is derived from it, or names several transactions")
        for call in (*case.before, case.call):
            assert caller.call(call).is_success
        total = wallet.read_total(caller.player)
        answer = caller.call(case.other)
        assert not answer.is_success, f"{case.call.command} succeeded, and so did {case.other.command}: {answer}"
        assert wallet.read_total(caller.player) == total

    def test_reversal_before_its_bet_closes_it(self, caller: Caller, reversal: str) -> None:
        """A cancel or rollback that arrives first moves nothing, and its bet is refused permanently."""
        bet = plan_bet(caller)
        try:
            call = plan_reversal(caller, reversal, bet)
        except ValueError as error:
            pytest.skip(f"it reverses no bets: {error}")
        for request in (call, bet, call, bet):
            answer = caller.call(request)
            assert request is not bet or not answer.is_success, answer
            assert caller.wallet.read_total(caller.player) == BALANCE

    def test_reversed_bet_stays_reversed(self, caller: Caller, reversal: str) -> None:
        """A reversed bet gives its stake back once, and a retry of the bet is refused."""
        bet = plan_bet(caller)
        try:
            call = plan_reversal(caller, reversal, bet)
        except ValueError as error:
            pytest.skip(f"it reverses no bets: {error}")
        assert caller.call(bet).is_success
        assert caller.wallet.read_total(caller.player) == BALANCE - STAKE
        for _ in range(2):
            assert caller.call(call).is_success
            assert not caller.call(bet).is_success
            assert caller.wallet.read_total(caller.player) == BALANCE

    def test_parallel_bets_cannot_spend_the_balance_twice(self, caller: Caller) -> None:
        """If several bets of the whole balance arrive at once, one succeeds."""
        answers = caller.call_all([plan_bet(caller, stake=BALANCE) for _ in range(PARALLEL)])
        assert sum(answer.is_success for answer in answers) == 1
        assert caller.wallet.read_total(caller.player) == 0

    def test_parallel_retries_move_money_once(self, caller: Caller) -> None:
        """If one bet arrives several times at once, each request succeeds and one moves money."""
        assert all(answer.is_success for answer in caller.call_all([plan_bet(caller)] * PARALLEL))
        assert caller.wallet.read_total(caller.player) == BALANCE - STAKE

    def test_refused_bet_stays_refused(self, caller: Caller) -> None:
        """A bet above the balance is refused, and so is its retry after a deposit. A new bet is then accepted."""
        bet = plan_bet(caller, stake=BALANCE + 1)
        assert not caller.call(bet).is_success
        caller.wallet.deposit(caller.player, PAYOUT)
        assert not caller.call(bet).is_success
        assert caller.wallet.read_total(caller.player) == BALANCE + PAYOUT
        assert caller.call(plan_bet(caller, stake=BALANCE + 1)).is_success

    def test_unknown_session_is_refused(self, caller: Caller, operation: str) -> None:
        """A token that no session has is refused, and the player's money stays."""
        call = self._plan(caller, operation)
        assert not caller.call(call._replace(token=f"unknown-{new_id()}")).is_success
        assert caller.wallet.read_total(caller.player) == BALANCE

    def test_ended_session_cannot_bet(self, caller: Caller) -> None:
        """A bet in a revoked session is refused."""
        caller.wallet.end_sessions(caller.player)
        assert not caller.call(plan_bet(caller)).is_success
        assert caller.wallet.read_total(caller.player) == BALANCE

    def test_blocked_player_cannot_bet(self, caller: Caller) -> None:
        """A bet of a blocked player is refused, until the player is unblocked."""
        caller.wallet.set_blocked(caller.player)
        assert not caller.call(plan_bet(caller)).is_success
        caller.wallet.set_blocked(caller.player, blocked=False)
        assert caller.call(plan_bet(caller)).is_success

    def test_player_who_contradicts_the_session_is_refused(self, caller: Caller, operation: str) -> None:
        """A request that names another player or currency than its session is refused, and no money moves."""
        call, other = self._plan(caller, operation), caller.wallet.add_player(cash=BALANCE)
        if not call.player_id and not call.currency:
            pytest.skip("its requests name neither player nor currency")
        contradictions = [call._replace(player_id=other.player_id)] if call.player_id else []
        contradictions += [call._replace(currency="EUR")] if call.currency else []
        for contradiction in contradictions:
            assert not caller.call(contradiction).is_success
        assert caller.wallet.read_total(caller.player) == BALANCE
        assert caller.wallet.read_total(other) == BALANCE

    def test_altered_requests_get_an_answer(self, caller: Caller, operation: str) -> None:
        """An altered request gets an answer of the protocol, and no traceback in the log."""
        request = self._plan(caller, operation)
        for number in range(SENT_ALTERED_REQUESTS):
            altered = alter_request(caller.protocol.build_request(request, 0), number)
            response = caller.send(caller.sign(altered))
            assert response.status < 500, altered
            caller.protocol.parse_response(response)
        assert "Traceback" not in caller.wallet.read_log()

    def test_log_names_declared_operations_only(self, caller: Caller) -> None:
        """The log names the protocol's operations and no text that a caller chose."""
        for operation in caller.protocol.operations:
            caller.call(self._plan(caller, operation))
        log = caller.wallet.read_log()
        assert caller.player.token not in log
        assert SECRET not in log

    def test_ledger_verifies(self, wallet: TemporaryWallet) -> None:
        """After all calls the ledger is valid."""
        wallet.verify()

    def _plan(self, caller: Caller, operation: str) -> Call:
        """Return a new call of this operation. No earlier call has its ids."""
        if operation in list_money_operations(caller.protocol):
            return plan_case(caller, operation).call
        return caller.plan(operation, Balance() if caller.protocol.operations[operation] is Balance else Authenticate())
