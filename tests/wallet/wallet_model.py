"""A naive model of the wallet: the contract's tables, row by row, over plain dictionaries."""

from dataclasses import dataclass, field

MAX_CENTS = 2**63 - 1

NO_LIMIT = float("inf")
"""Above each sum: the bets of a day may exceed MAX_CENTS several times."""

ExpectedAnswer = tuple[int, int | None, int | None]
"""The code (0 for success), wallet-v2's credit or vela's balance, and vela's balance2."""


@dataclass
class ModelAccount:
    """One player's money in one currency."""

    player: str
    currency: str
    cash: int = 0
    bonus: int = 0
    blocked: bool = False
    excluded: bool = False
    limits: dict[str, int] = field(default_factory=dict)
    """The usage of one day by "deposit" and "loss", as no other day is near."""
    pending_limits: dict[str, int | None] = field(default_factory=dict)
    """The pending limits."""
    deposited: int = 0
    """The deposited cash."""
    cash_without_play: int = 0
    """The cash without any game."""

    @property
    def credit(self) -> int:
        return self.cash + self.bonus

    def can_bet(self, stake: int) -> bool:
        cash, loss_limit = min(stake, self.cash), self.limits.get("loss", NO_LIMIT)
        lost = self.cash_without_play - self.cash
        return not self.blocked and not self.excluded and (cash == 0 or lost + cash <= loss_limit)

    def can_deposit(self, cash: int) -> bool:
        return not self.excluded and (cash == 0 or self.deposited + cash <= self.limits.get("deposit", NO_LIMIT))

    def set_limit(self, kind: str, cents: int | None) -> None:
        """Apply a lower limit immediately, and keep a higher one pending."""
        if kind in self.limits and (cents is None or cents > self.limits[kind]):
            self.pending_limits[kind] = cents
        else:
            self.pending_limits.pop(kind, None)
            self.limits |= {} if cents is None else {kind: cents}

    def apply_elapsed_month(self) -> None:
        """Apply pending limits, end exclusions and reset usage, as after a month."""
        next_limits = {**self.limits, **self.pending_limits}
        self.limits = {kind: cents for kind, cents in next_limits.items() if cents is not None}
        self.pending_limits, self.excluded, self.deposited, self.cash_without_play = {}, False, 0, self.cash


@dataclass
class ModelTransaction:
    """The history of a transaction id."""

    kind: str
    account: ModelAccount
    content: tuple[object, ...]
    refusal_code: int = 0
    debited: tuple[int, int] = (0, 0)
    credit: int = 0
    cancelled: bool = False
    credit_after_cancel: int = 0
    number: int = 0
    round: object = None
    win: int = 0
    result: tuple[object, ...] | None = None


@dataclass
class WalletModel:
    """Answers as the real wallet must. `session_state` is "yes" (live), "expired" or "revoked"."""

    v2: dict[tuple[str, int], ModelTransaction] = field(default_factory=dict)
    vela: dict[int, ModelTransaction] = field(default_factory=dict)
    number: int = 0

    def credit(self, account: ModelAccount, session_state: str) -> ExpectedAnswer:
        return (_INACTIVE_SESSION_CODES.get(session_state, 0), account.credit, None)

    def bet(
        self, account: ModelAccount, session_state: str, id_: int, stake: int, round_: int | None
    ) -> ExpectedAnswer:
        key, content, round_ = (account.currency, id_), ("bet", account.player, stake, round_ or id_), round_ or id_
        existing = self.v2.get(key)
        if existing and existing.cancelled:
            return (107, account.credit, None)
        if existing:
            return self._replay_v2(account, existing, content)
        if session_state != "yes":
            return (_INACTIVE_SESSION_CODES[session_state], account.credit, None)
        self.number += 1
        bet = self.v2[key] = ModelTransaction("bet", account, content, number=self.number, round=round_)
        bet.refusal_code = 104 if not account.can_bet(stake) else 105 if stake > account.credit else 0
        if bet.refusal_code:
            return (bet.refusal_code, account.credit, None)
        bet.debited = _debit(account, stake)
        bet.credit = account.credit
        return (0, bet.credit, None)

    def win(
        self,
        account: ModelAccount,
        session_state: str,
        id_: int,
        payout: int,
        round_: int | None,
        *,
        is_settling: bool = False,
    ) -> ExpectedAnswer:
        """Decide a win. `is_settling` is true if the session ended so recently that wins without a bet are paid."""
        key, content = (account.currency, id_), ("win", account.player, payout, round_)
        if existing := self.v2.get(key):
            return self._replay_v2(account, existing, content)
        round_bets = [bet for bet in self._find_round(account, round_) if bet.kind in ("bet", "tomb")]
        has_bet = round_ is not None and any(map(_is_accepted_bet, round_bets))
        if session_state != "yes" and not has_bet and not is_settling:
            return (_INACTIVE_SESSION_CODES[session_state], account.credit, None)
        if round_ is not None and any(bet.cancelled for bet in round_bets) and not has_bet:
            return (109, account.credit, None)
        if account.credit + payout > MAX_CENTS:
            return (110, account.credit, None)
        account.cash += payout
        self.number += 1
        self.v2[key] = ModelTransaction(
            "win", account, content, credit=account.credit, number=self.number, round=round_
        )
        return (0, account.credit, None)

    def cancel(self, account: ModelAccount, id_: int) -> ExpectedAnswer:
        key = (account.currency, id_)
        existing = self.v2.get(key)
        if existing and existing.kind == "win":
            return (111, account.credit, None)
        if existing and existing.account is not account:
            return (106, account.credit, None)
        if existing and existing.cancelled:
            return (0, existing.credit_after_cancel, None)
        if existing and not existing.refusal_code:
            same_round = self._find_round(account, existing.round)
            has_later_win = any(bet.kind == "win" and bet.number > existing.number for bet in same_round)
            if has_later_win and not any(bet is not existing and _is_accepted_bet(bet) for bet in same_round):
                return (108, account.credit, None)
            if account.credit + sum(existing.debited) > MAX_CENTS:
                return (110, account.credit, None)
        bet = self.v2.setdefault(key, ModelTransaction("tomb", account, (), round=id_))
        account.cash += bet.debited[0]
        account.bonus += bet.debited[1]
        bet.cancelled, bet.credit_after_cancel = True, account.credit
        return (0, account.credit, None)

    def _replay_v2(
        self, account: ModelAccount, existing: ModelTransaction, content: tuple[object, ...]
    ) -> ExpectedAnswer:
        if existing.content != content:
            return (106, account.credit, None)
        return (existing.refusal_code, account.credit, None) if existing.refusal_code else (0, existing.credit, None)

    def _find_round(self, account: ModelAccount, round_: object) -> list[ModelTransaction]:
        return [bet for bet in self.v2.values() if bet.account is account and bet.round == round_]

    def vela_bet(
        self, account: ModelAccount, session_state: str, ticket: int, stake: int, win: int | None
    ) -> ExpectedAnswer:
        """Decide a bet, or a betwin if `win` is a number."""
        content = ("bet" if win is None else "betwin", account.player, account.currency, stake, win)
        existing = self.vela.get(ticket)
        if existing:
            code = 2 if existing.cancelled or existing.content != content else existing.refusal_code
        elif session_state != "yes":
            code = 1
        else:
            code = self._decide_vela_bet(account, ticket, stake, win, content)
        return (code, account.cash, account.bonus)

    def _decide_vela_bet(
        self, account: ModelAccount, ticket: int, stake: int, win: int | None, content: tuple[object, ...]
    ) -> int:
        refusal_code = 1 if not account.can_bet(stake) else 3 if stake > account.credit else 0
        if not refusal_code and account.credit - stake + (win or 0) > MAX_CENTS:
            return 2
        bet = self.vela[ticket] = ModelTransaction(
            "bet" if win is None else "betwin", account, content, refusal_code, win=win or 0
        )
        if not refusal_code:
            bet.debited = _debit(account, stake)
            account.cash += bet.win
        return refusal_code

    def vela_result(self, account: ModelAccount, ticket: int, payout: int, used: int | None) -> ExpectedAnswer:
        bet, content = self.vela.get(ticket), (account.player, account.currency, payout, used)
        if bet and bet.result:
            code = 0 if bet.result == content else 2
        elif not (bet and bet.account is account and _is_accepted_bet(bet)) or account.credit + payout > MAX_CENTS:
            code = 2
        else:
            account.cash += payout
            bet.result, code = content, 0
        return (code, account.cash, account.bonus)

    def vela_refund(self, account: ModelAccount, ticket: int) -> ExpectedAnswer:
        bet = self.vela.get(ticket)
        if bet is None or (bet.account is account and bet.refusal_code):
            # An unknown ticket and a refused bet are closed; there was nothing to give back, today or later.
            closed = self.vela.setdefault(ticket, ModelTransaction("tomb", account, ()))
            closed.cancelled = True
            code = 2
        elif bet.account is not account or bet.kind == "tomb" or bet.result:
            code = 2
        elif bet.cancelled:
            code = 0
        elif account.cash + bet.debited[0] - bet.win < 0 or account.credit + sum(bet.debited) - bet.win > MAX_CENTS:
            code = 2
        else:
            account.cash += bet.debited[0] - bet.win
            account.bonus += bet.debited[1]
            bet.cancelled, code = True, 0
        return (code, account.cash, account.bonus)


_INACTIVE_SESSION_CODES = {"expired": 103, "revoked": 102}


def _is_accepted_bet(bet: ModelTransaction) -> bool:
    return bet.kind == "bet" and not bet.refusal_code and not bet.cancelled


def _debit(account: ModelAccount, stake: int) -> tuple[int, int]:
    """Take cash first, then bonus."""
    cash = min(stake, account.cash)
    account.cash -= cash
    account.bonus -= stake - cash
    return (cash, stake - cash)
