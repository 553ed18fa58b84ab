"""Wallets with one flaw each, as other operators' wallets may have."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from minwallet.ledger.commands import Authenticate, Balance, Bet, BetWin, Cancel, Group, Query, Settle, Win
from minwallet.ledger.entries import Refusal, State
from minwallet.ledger.outcomes import Applied, Outcome, Refused, Replayed, Unauthenticated
from minwallet.protocols.wire import Call, HttpRequest, Malformed
from minwallet.storage.models import SessionHolder
from tests.conformance.reference_wallet import ReferenceWallet

ExecutedCall = tuple[Outcome | Unauthenticated, SessionHolder | None]


class DebitsRetriedBets(ReferenceWallet):
    """A wallet in which each repetition of a bet takes its stake again."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Replayed) and isinstance(call.command, Bet) and bearer:
            await self.move_money(bearer, -call.command.stake)
        return outcome, bearer


class CreditsRetries(ReferenceWallet):
    """A wallet in which each repetition of a win, betwin or cancel pays again."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Replayed) and outcome.entry.amount > 0 and bearer:
            await self.move_money(bearer, outcome.entry.amount)
        return outcome, bearer


class NoTombstones(ReferenceWallet):
    """A wallet in which a cancel of an unknown id leaves no trace, so a later bet with that id is applied."""

    flaky_cases = frozenset({"bet-and-cancel-at-once", "bet-and-refund-at-once"})

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.taken: set[str] = set()

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        command = call.command
        if isinstance(command, Cancel) and command.id not in self.taken:
            call = call._replace(command=command._replace(id=f"no tombstone {next(self.numbers)}"))
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Applied):
            self.taken.add(outcome.entry.id)
        return outcome, bearer


class IdsOf63Bits(ReferenceWallet):
    """A wallet that stores ids as signed numbers, without their highest bit."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        command = call.command
        if not isinstance(command, Query | Group):
            call = call._replace(command=command._replace(id=str(int(command.id) % 2**63)))
        return await super().execute(call, wallet_token)


class IdsPerPlayer(ReferenceWallet):
    """A wallet in which two players can use the same id."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        command = call.command
        if call.token == "bobs_session" and not isinstance(command, Query | Group):
            call = call._replace(command=command._replace(id=f"bob's {command.id}"))
        return await super().execute(call, wallet_token)


class IdsAcrossCurrencies(ReferenceWallet):
    """A wallet in which an id used in one currency is taken in all others."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol.ids_per_currency = False


class StaleBalances(ReferenceWallet):
    """A wallet that answers with the balance before the call."""

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        if isinstance(outcome, Applied):
            entry = outcome.entry
            old = entry._replace(cash_after=outcome.cash - entry.amount, bonus_after=outcome.bonus - entry.bonus_amount)
            outcome = Applied(old, old.cash_after, old.bonus_after)
        return super().render(call, outcome, bearer)


class LaxResponses(ReferenceWallet):
    """A wallet whose balances have decimals, whose refusals have no message, and whose replies may be cached."""

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        status, body = super().render(call, outcome, bearer)
        fields: dict[str, Any] = json.loads(body)
        floats = {name: float(fields[name]) for name in ("credit", "balance", "balance2") if name in fields}
        fields = {name: fields[name] for name in fields if name not in ("message", "err_desc")}
        return status, json.dumps(fields | floats).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        return []


class AcceptsAnyMethod(ReferenceWallet):
    """A wallet that moves money with any HTTP method."""

    def accepts_method(self, method: str) -> bool:
        return True


class LenientNumbers(ReferenceWallet):
    """A wallet that accepts every number that Python's int() accepts."""

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        try:
            if request.method == "POST":
                fields = json.loads(request.body)
                numbers = {name: int(fields[name]) for name in ("bet", "win", "id") if name in fields}
                request = request._replace(body=json.dumps(fields | numbers).encode())
            else:
                parameters = dict(parse_qsl(request.query.decode()))
                whole = {name: int(value) for name, value in parameters.items() if name.startswith("total_")}
                request = request._replace(query=urlencode(parameters | whole).encode())
        except (TypeError, ValueError, RecursionError):
            pass
        return super().parse(request, operation)


class AcceptsNegativeBets(ReferenceWallet):
    """A wallet in which a bet below zero adds money."""

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        turned = request._replace(
            body=request.body.replace(b'"bet": -', b'"bet": '),
            query=request.query.replace(b"total_bet=-", b"total_bet="),
        )
        call = super().parse(turned, operation)
        if turned != request and isinstance(call, Call) and isinstance(call.command, Bet):
            return call._replace(command=call.command._replace(stake=-call.command.stake))
        return super().parse(request, operation)


class AcceptsUnfundedBets(ReferenceWallet):
    """A wallet that answers a bet above the balance with success."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.entry and outcome.refusal is Refusal.INSUFFICIENT_FUNDS:
            return Applied(outcome.entry, outcome.cash, outcome.bonus), bearer
        return outcome, bearer


class AcceptsBetsOfSpentMoney(ReferenceWallet):
    """A wallet that compares concurrent bets with the same balance and accepts all, while the balance stops at 0."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if (
            isinstance(outcome, Refused)
            and outcome.entry
            and outcome.refusal is Refusal.INSUFFICIENT_FUNDS
            and outcome.cash + outcome.bonus == 0
        ):
            return Applied(outcome.entry, outcome.cash, outcome.bonus), bearer
        return outcome, bearer


class CancelsReturnNothing(ReferenceWallet):
    """A wallet that confirms the cancel of a bet and keeps the stake."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Applied) and isinstance(call.command, Cancel) and outcome.entry.amount and bearer:
            await self.move_money(bearer, -outcome.entry.amount)
        return outcome, bearer


class RefusesWinsWithoutBets(ReferenceWallet):
    """A wallet that pays a win only if it knows a bet of the round, or any bet if the win has no round."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.rounds: set[str | None] = set()

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        if isinstance(call.command, Win) and call.command.round not in self.rounds:
            return Unauthenticated(), None
        if isinstance(call.command, Bet):
            self.rounds |= {call.command.round, None}
        return await super().execute(call, wallet_token)


class ConfirmsCancelledBets(ReferenceWallet):
    """A wallet that confirms a bet after its cancel and takes no money."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.refusal is Refusal.CANCELLED:
            return await super().execute(call._replace(command=Balance()))
        return outcome, bearer


class RefusesRepeatedCancels(ReferenceWallet):
    """A wallet that confirms a cancel once and refuses its retries."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Replayed) and isinstance(call.command, Cancel):
            return Refused(Refusal.NOT_A_BET, outcome.cash, outcome.bonus), bearer
        return outcome, bearer


class RightMoneyOwnAnswers(RefusesWinsWithoutBets, ConfirmsCancelledBets, RefusesRepeatedCancels):
    """A wallet whose money is right, and whose answers are its own where a provider can live with them."""


class IdsAsFloats(ReferenceWallet):
    """A wallet in a language whose numbers are floats, so an id above 2^53 loses its last bits."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        command = call.command
        if not isinstance(command, Query | Group):
            call = call._replace(command=command._replace(id=str(int(float(command.id)))))
        return await super().execute(call, wallet_token)


class MinimumStake(ReferenceWallet):
    """A wallet that takes only stakes of whole 1.00."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        if isinstance(call.command, Bet | BetWin) and call.command.stake % 100:
            return Unauthenticated(), None
        return await super().execute(call, wallet_token)


class PaysRefundedBets(ReferenceWallet):
    """A wallet that pays a result whatever the state of its bet."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.refusal is Refusal.NO_OPEN_BET and bearer:
            assert isinstance(call.command, Settle)
            await self.move_money(bearer, call.command.payout)
            return await super().execute(call._replace(operation="bet", command=Authenticate()))
        return outcome, bearer


class RefundsSettledBets(ReferenceWallet):
    """A wallet in which a cancel or refund returns the stake of a settled bet."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.refusal is Refusal.ROUND_SETTLED and bearer:
            await self.move_money(bearer, 5)
            question = Balance() if self.protocol.name == "wallet-v2" else Authenticate()
            return await super().execute(call._replace(command=question))
        return outcome, bearer


class RefusesEndedSessions(ReferenceWallet):
    """A wallet that refuses all calls after the end of a session, settlements included."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        if call.token in ("alices_expired_session", "alices_revoked_session"):
            return Unauthenticated(), None
        return await super().execute(call, wallet_token)


class RefusesUnknownCancels(ReferenceWallet):
    """A wallet in which a cancel of an unknown id is an error."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Applied) and outcome.entry.state is State.CLOSED:
            return Refused(Refusal.NOT_A_BET, outcome.cash, outcome.bonus), bearer
        return outcome, bearer


class NonstandardCodes(ReferenceWallet):
    """A wallet with its own codes for refusals that have none in the specification."""

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        status, body = super().render(call, outcome, bearer)
        return status, body.replace(b'"err_code":105', b'"err_code":999')


class FailsOnBets(ReferenceWallet):
    """A wallet that answers bets with an internal server error."""

    status, body = 500, b'{"result":1,"status_code":0}'

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        if isinstance(call.command, Bet):
            return self.status, self.body
        return super().render(call, outcome, bearer)


class FailsOnMalformedCalls(ReferenceWallet):
    """A wallet that answers calls that it cannot read with an internal server error."""

    def render_malformed(self, call: Malformed) -> tuple[int, bytes]:
        return 500, b"Internal Server Error"


class DebitsThirdRace(ReferenceWallet):
    """A wallet that takes the retries of the third bet only."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.bets: list[str] = []

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(call.command, Bet):
            self.bets += [call.command.id] if isinstance(outcome, Applied) else []
            if isinstance(outcome, Replayed) and bearer and [call.command.id] == self.bets[2:]:
                await self.move_money(bearer, -call.command.stake)
        return outcome, bearer


class AnswersBetsWithHtml(FailsOnBets):
    """A wallet that answers bets with an HTML page that contains terminal control characters."""

    status, body = 200, b"<html>\x1b[2J\nalices_session</html>"


class NeverAnswersBets(ReferenceWallet):
    """A wallet that applies bets and does not answer them."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        reply = await super().execute(call, wallet_token)
        if isinstance(call.command, Bet):
            await asyncio.Event().wait()
        return reply


class LeaksTokens(ReferenceWallet):
    """A wallet whose replies contain the token."""

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        status, body = super().render(call, outcome, bearer)
        return status, json.dumps(json.loads(body) | {"member_id": ["alice", call.token]}).encode()


class AlwaysFails(ReferenceWallet):
    """A wallet in which every call fails."""

    status, body = 500, b"Internal Server Error"

    def render(self, call: Call, outcome: Outcome | Unauthenticated, bearer: SessionHolder | None) -> tuple[int, bytes]:
        return self.status, self.body


class NotFound(AlwaysFails):
    """A server that has nothing at the protocol's path."""

    status, body = 404, b"Not Found"
