"""A wallet as naive as can be: what the contract's tables say, row by row, over plain dictionaries."""

from dataclasses import dataclass, field

MOST = 2**63 - 1

Answer = tuple[int, int | None, int | None]
"""(code, 0 for success; what wallet-v2 calls credit, or vela's balance; vela's balance2)."""


@dataclass
class Account:
    """One player's money in one currency."""

    player: str
    currency: str
    cash: int = 0
    bonus: int = 0
    blocked: bool = False
    excluded: bool = False
    limits: dict[str, int] = field(default_factory=dict)
    """Of one day, as no other is near: by "deposit" and "loss"."""
    wanted: dict[str, int | None] = field(default_factory=dict)
    """The limits that wait."""
    given: int = 0
    """Cash that was deposited."""
    put: int = 0
    """What cash there would be without any game."""

    @property
    def credit(self) -> int:
        return self.cash + self.bonus

    def may_play(self, stake: int) -> bool:
        cash, most = min(stake, self.cash), self.limits.get("loss", 2 * MOST)
        lost = self.put - self.cash
        return not self.blocked and not self.excluded and (cash == 0 or lost + cash <= most)

    def may_be_given(self, cash: int) -> bool:
        return not self.excluded and (cash == 0 or self.given + cash <= self.limits.get("deposit", 2 * MOST))

    def limit(self, kind: str, cents: int | None) -> None:
        """A lower limit holds, another one waits."""
        if kind in self.limits and (cents is None or cents > self.limits[kind]):
            self.wanted[kind] = cents
        else:
            self.wanted.pop(kind, None)
            self.limits |= {} if cents is None else {kind: cents}

    def rest(self) -> None:
        """So long that what waits holds, nobody is excluded any more, and all that was played is long ago."""
        wanted = {**self.limits, **self.wanted}
        self.limits = {kind: cents for kind, cents in wanted.items() if cents is not None}
        self.wanted, self.excluded, self.given, self.put = {}, False, 0, self.cash


@dataclass
class Bet:
    """A transaction id's story."""

    kind: str
    account: Account
    content: tuple[object, ...]
    refused: int = 0
    taken: tuple[int, int] = (0, 0)
    credit: int = 0
    cancelled: bool = False
    credit_after_cancel: int = 0
    number: int = 0
    round: object = None
    win: int = 0
    result: tuple[object, ...] | None = None


@dataclass
class Model:
    """Answers as the real wallet must. `live` says whether the session is good: "yes", "expired" or "revoked"."""

    v2: dict[tuple[str, int], Bet] = field(default_factory=dict)
    vela: dict[int, Bet] = field(default_factory=dict)
    number: int = 0

    def credit(self, account: Account, live: str) -> Answer:
        return (_DEAD_V2.get(live, 0), account.credit, None)

    def bet(self, account: Account, live: str, id_: int, stake: int, round_: int | None) -> Answer:
        key, content, round_ = (account.currency, id_), ("bet", account.player, stake, round_ or id_), round_ or id_
        seen = self.v2.get(key)
        if seen and seen.cancelled:
            return (107, account.credit, None)
        if seen:
            return self._again_v2(account, seen, content)
        if live != "yes":
            return (_DEAD_V2[live], account.credit, None)
        self.number += 1
        bet = self.v2[key] = Bet("bet", account, content, number=self.number, round=round_)
        bet.refused = 104 if not account.may_play(stake) else 105 if stake > account.credit else 0
        if bet.refused:
            return (bet.refused, account.credit, None)
        bet.taken = _take(account, stake)
        bet.credit = account.credit
        return (0, bet.credit, None)

    def win(self, account: Account, id_: int, payout: int, round_: int | None) -> Answer:
        key, content = (account.currency, id_), ("win", account.player, payout, round_)
        if seen := self.v2.get(key):
            return self._again_v2(account, seen, content)
        mine = [bet for bet in self._round(account, round_) if bet.kind in ("bet", "tomb")]
        if round_ is not None and any(bet.cancelled for bet in mine) and not any(map(_stands, mine)):
            return (109, account.credit, None)
        if account.credit + payout > MOST:
            return (110, account.credit, None)
        account.cash += payout
        self.number += 1
        self.v2[key] = Bet("win", account, content, credit=account.credit, number=self.number, round=round_)
        return (0, account.credit, None)

    def cancel(self, account: Account, id_: int) -> Answer:
        key = (account.currency, id_)
        seen = self.v2.get(key)
        if seen and seen.kind == "win":
            return (111, account.credit, None)
        if seen and seen.account is not account:
            return (106, account.credit, None)
        if seen and seen.cancelled:
            return (0, seen.credit_after_cancel, None)
        if seen and not seen.refused:
            later = [bet for bet in self._round(account, seen.round) if bet.kind == "win" and bet.number > seen.number]
            if later:
                return (108, account.credit, None)
            if account.credit + sum(seen.taken) > MOST:
                return (110, account.credit, None)
        bet = self.v2.setdefault(key, Bet("tomb", account, (), round=id_))
        account.cash += bet.taken[0]
        account.bonus += bet.taken[1]
        bet.cancelled, bet.credit_after_cancel = True, account.credit
        return (0, account.credit, None)

    def _again_v2(self, account: Account, seen: Bet, content: tuple[object, ...]) -> Answer:
        if seen.content != content:
            return (106, account.credit, None)
        return (seen.refused, account.credit, None) if seen.refused else (0, seen.credit, None)

    def _round(self, account: Account, round_: object) -> list[Bet]:
        return [bet for bet in self.v2.values() if bet.account is account and bet.round == round_]

    def vela_bet(self, account: Account, live: str, ticket: int, stake: int, win: int | None) -> Answer:
        """A bet, or a betwin where `win` is a number."""
        content = ("bet" if win is None else "betwin", account.player, account.currency, stake, win)
        seen = self.vela.get(ticket)
        if seen:
            code = 2 if seen.cancelled or seen.content != content else seen.refused
        elif live != "yes":
            code = 1
        else:
            code = self._vela_bet(account, ticket, stake, win, content)
        return (code, account.cash, account.bonus)

    def _vela_bet(self, account: Account, ticket: int, stake: int, win: int | None, content: tuple[object, ...]) -> int:
        refused = 1 if not account.may_play(stake) else 3 if stake > account.credit else 0
        if not refused and account.credit - stake + (win or 0) > MOST:
            return 2
        bet = self.vela[ticket] = Bet("bet" if win is None else "betwin", account, content, refused, win=win or 0)
        if not refused:
            bet.taken = _take(account, stake)
            account.cash += bet.win
        return refused

    def vela_result(self, account: Account, ticket: int, payout: int, used: int | None) -> Answer:
        bet, content = self.vela.get(ticket), (account.player, account.currency, payout, used)
        if bet and bet.result:
            code = 0 if bet.result == content else 2
        elif not (bet and bet.account is account and _stands(bet)) or account.credit + payout > MOST:
            code = 2
        else:
            account.cash += payout
            bet.result, code = content, 0
        return (code, account.cash, account.bonus)

    def vela_refund(self, account: Account, ticket: int) -> Answer:
        bet = self.vela.get(ticket)
        if bet is None or (bet.account is account and bet.refused):
            # An unknown ticket and a refused bet are closed; there was nothing to give back, today or later.
            closed = self.vela.setdefault(ticket, Bet("tomb", account, ()))
            closed.cancelled = True
            code = 2
        elif bet.account is not account or bet.kind == "tomb" or bet.result:
            code = 2
        elif bet.cancelled:
            code = 0
        elif bet.win > account.cash or account.credit + sum(bet.taken) - bet.win > MOST:
            code = 2
        else:
            account.cash += bet.taken[0] - bet.win
            account.bonus += bet.taken[1]
            bet.cancelled, code = True, 0
        return (code, account.cash, account.bonus)


_DEAD_V2 = {"expired": 103, "revoked": 102}


def _stands(bet: Bet) -> bool:
    return bet.kind == "bet" and not bet.refused and not bet.cancelled


def _take(account: Account, stake: int) -> tuple[int, int]:
    """Cash first, then bonus."""
    cash = min(stake, account.cash)
    account.cash -= cash
    account.bonus -= stake - cash
    return (cash, stake - cash)
