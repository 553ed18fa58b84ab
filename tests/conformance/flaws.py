"""What is wrong with other people's wallets."""

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

from minwallet.ledger.commands import Authenticate, Balance, Bet, Cancel, Query, Settle
from minwallet.ledger.entries import Refusal, State
from minwallet.ledger.outcomes import Applied, Outcome, Refused, Replayed, SessionUnknown
from minwallet.protocols.wire import Call, Malformed
from minwallet.storage.models import SessionHolder
from tests.conformance.reference_wallet import ReferenceWallet

ExecutedCall = tuple[Outcome | SessionUnknown, SessionHolder | None]


class DebitsRetriedBets(ReferenceWallet):
    """A bet that is repeated takes its money each time."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Replayed) and isinstance(call.command, Bet) and bearer:
            await self.move_money(bearer, -call.command.stake)
        return outcome, bearer


class CreditsRetries(ReferenceWallet):
    """What is repeated pays each time: a win, a betwin, a cancel."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Replayed) and outcome.entry.amount > 0 and bearer:
            await self.move_money(bearer, outcome.entry.amount)
        return outcome, bearer


class NoTombstones(ReferenceWallet):
    """A cancel of what is not there leaves no trace, so the bet that comes late is taken."""

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
    """Ids are kept as signed numbers, without their highest bit."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        command = call.command
        if not isinstance(command, Query):
            call = call._replace(command=command._replace(id=str(int(command.id) % 2**63)))
        return await super().execute(call, wallet_token)


class IdsPerPlayer(ReferenceWallet):
    """Two players can have the same id."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        command = call.command
        if call.token == "bobs_session" and not isinstance(command, Query):
            call = call._replace(command=command._replace(id=f"bob's {command.id}"))
        return await super().execute(call, wallet_token)


class IdsAcrossCurrencies(ReferenceWallet):
    """An id that one currency has seen is taken in the others."""

    def __init__(self, protocol: str) -> None:
        super().__init__(protocol)
        self.protocol.ids_per_currency = False


class StaleBalances(ReferenceWallet):
    """An answer tells what there was before."""

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        if isinstance(outcome, Applied):
            entry = outcome.entry
            old = entry._replace(cash_after=outcome.cash - entry.amount, bonus_after=outcome.bonus - entry.bonus_amount)
            outcome = Applied(old, old.cash_after, old.bonus_after)
        return super().render(call, outcome, bearer)


class LaxResponses(ReferenceWallet):
    """Balances have a decimal point, refusals say nothing, and answers may be kept by whoever passes them on."""

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        status, body = super().render(call, outcome, bearer)
        fields: dict[str, Any] = json.loads(body)
        floats = {name: float(fields[name]) for name in ("credit", "balance", "balance2") if name in fields}
        fields = {name: fields[name] for name in fields if name not in ("message", "err_desc")}
        return status, json.dumps(fields | floats).encode()

    def headers(self) -> list[tuple[bytes, bytes]]:
        return []


class AcceptsAnyMethod(ReferenceWallet):
    """Whatever HTTP's method is, the money moves."""

    def accepts_method(self, method: str) -> bool:
        return True


class LenientNumbers(ReferenceWallet):
    """Numbers are what Python's int() takes."""

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        try:
            if self.protocol.method == "POST":
                fields = json.loads(raw)
                numbers = {name: int(fields[name]) for name in ("bet", "win", "id") if name in fields}
                raw = json.dumps(fields | numbers).encode()
            else:
                parameters = dict(parse_qsl(raw.decode()))
                whole = {name: int(value) for name, value in parameters.items() if name.startswith("total_")}
                raw = urlencode(parameters | whole).encode()
        except (TypeError, ValueError, RecursionError):
            pass
        return super().parse(operation, raw)


class AcceptsNegativeBets(ReferenceWallet):
    """A bet below nothing is a present."""

    def parse(self, operation: str, raw: bytes) -> Call | Malformed:
        turned = raw.replace(b'"bet": -', b'"bet": ').replace(b"total_bet=-", b"total_bet=")
        call = super().parse(operation, turned)
        if turned != raw and isinstance(call, Call) and isinstance(call.command, Bet):
            return call._replace(command=call.command._replace(stake=-call.command.stake))
        return super().parse(operation, raw)


class AcceptsUnfundedBets(ReferenceWallet):
    """A bet that nobody can pay for is told to be placed."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.entry and outcome.refusal is Refusal.INSUFFICIENT_FUNDS:
            return Applied(outcome.entry, outcome.cash, outcome.bonus), bearer
        return outcome, bearer


class PaysRefundedBets(ReferenceWallet):
    """A result pays whatever became of its bet."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.refusal is Refusal.NO_OPEN_BET and bearer:
            assert isinstance(call.command, Settle)
            await self.move_money(bearer, call.command.payout)
            return await super().execute(call._replace(operation="bet", command=Authenticate()))
        return outcome, bearer


class RefundsSettledBets(ReferenceWallet):
    """A cancel or refund gives back what has been won with."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Refused) and outcome.refusal is Refusal.ROUND_SETTLED and bearer:
            await self.move_money(bearer, 5)
            question = Balance() if self.protocol.name == "wallet-v2" else Authenticate()
            return await super().execute(call._replace(command=question))
        return outcome, bearer


class RefusesEndedSessions(ReferenceWallet):
    """What comes after a session's end is refused, money in flight too."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        if call.token in ("alices_expired_session", "alices_revoked_session"):
            return SessionUnknown(), None
        return await super().execute(call, wallet_token)


class RefusesUnknownCancels(ReferenceWallet):
    """A cancel of what is not there is an error."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        outcome, bearer = await super().execute(call, wallet_token)
        if isinstance(outcome, Applied) and outcome.entry.state is State.CLOSED:
            return Refused(Refusal.NOT_A_BET, outcome.cash, outcome.bonus), bearer
        return outcome, bearer


class NonstandardCodes(ReferenceWallet):
    """Refusals have codes of its own, where the specification has none."""

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        status, body = super().render(call, outcome, bearer)
        return status, body.replace(b'"err_code":105', b'"err_code":999')


class FailsOnBets(ReferenceWallet):
    """Bets end in an error of the server."""

    status, body = 500, b'{"result":1,"status_code":0}'

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        if isinstance(call.command, Bet):
            return self.status, self.body
        return super().render(call, outcome, bearer)


class AnswersBetsWithHtml(FailsOnBets):
    """Bets are answered with a page, which speaks to terminals."""

    status, body = 200, b"<html>\x1b[2J\nalices_session</html>"


class NeverAnswersBets(ReferenceWallet):
    """Bets are taken and not answered."""

    async def execute(self, call: Call, wallet_token: str | None = None) -> ExecutedCall:
        reply = await super().execute(call, wallet_token)
        if isinstance(call.command, Bet):
            await asyncio.Event().wait()
        return reply


class LeaksTokens(ReferenceWallet):
    """Says aloud who asks."""

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        status, body = super().render(call, outcome, bearer)
        return status, json.dumps(json.loads(body) | {"member_id": ["alice", call.token]}).encode()


class AlwaysFails(ReferenceWallet):
    """Nothing works."""

    def render(self, call: Call, outcome: Outcome | SessionUnknown, bearer: SessionHolder | None) -> tuple[int, bytes]:
        return 500, b"Internal Server Error"
