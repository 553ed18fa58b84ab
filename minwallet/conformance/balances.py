"""The balances that a run watches: which are fit for the cases, and after which case one is wrong.

Theory of operation
-------------------

1. `WatchedBalances` reads the balance behind each watched token before the first case. It raises an error if the wallet
   does not answer, or if the tokens do not fit the cases. Otherwise each case would fail for a reason that has nothing
   to do with its rule.
2. `begin_case` reads them again before each case. It compares them with those before the previous case, and stores each
   difference with the name of that case. A case that finds too little money is not run: it would fail because of an
   earlier fault.
3. `keep` takes the balances that a case reads after its last request, so that `begin_case` does not read them again.
"""

from collections.abc import Iterable
from typing import NamedTuple

from minwallet.conformance.amounts import AmountSpec
from minwallet.conformance.checks import Observed
from minwallet.conformance.client import Client
from minwallet.conformance.dsl import WATCHED_TOKENS
from minwallet.ledger.money import format_amount
from minwallet.protocols.wire import HttpRequest

MIN_BALANCE_UNITS = 20
"""The balance that a player needs for the stakes of the longest case, in units."""

Balance = tuple[int, ...]
"""A balance in the parts that the protocol reports, in cents."""


class WalletUnreachable(Exception):
    """No server answers at this address."""


class SetupError(Exception):
    """The tokens, or the balances behind them, do not fit the cases."""


class BalanceUnreadable(Exception):
    """A balance cannot be read; the message says why."""


class MoneyMissing(Exception):
    """A case cannot run because of an earlier fault of the wallet; the message names that case."""


class BalanceFault(NamedTuple):
    """A balance that a case did not leave as it found it. `change` is in cents."""

    case: str
    token: str
    change: int


class _NoBindings:
    """The bindings of a request that has neither ids nor amounts."""

    def resolve_id(self, letter: str) -> str:
        raise LookupError(letter)

    def resolve_amount(self, amount: AmountSpec) -> int:
        raise LookupError(amount)


class WatchedBalances:
    """The balances behind the watched tokens of one run."""

    def __init__(self, client: Client, unit: int) -> None:
        self.faults: list[BalanceFault] = []
        self._client = client
        self._min_cents = MIN_BALANCE_UNITS * unit
        self._initial = self._check_setup()
        self._last_seen = dict(self._initial)
        self._last_case: dict[str, str] = {}
        self._kept: dict[str, Balance] = {}
        self._unreadable_since = ""

    def read(self, token: str) -> Balance:
        """Return the balance. Raise BalanceUnreadable."""
        observed = self._request(token)
        if observed.outcome != "accepted":
            raise BalanceUnreadable(f"no balance: {observed.summary}")
        if observed.balance is None:
            raise BalanceUnreadable(f"no balance in whole cents: {observed.text}")
        return observed.balance

    def open_connections(self, count: int) -> None:
        """Open connections with concurrent balance queries. The next concurrent requests are sent on them."""
        self._client.query(self._build_query("token"), count)

    def begin_case(self, case: str, tokens: Iterable[str]) -> dict[str, Balance]:
        """Return the balances before a case, by token.

        Raise MoneyMissing if an earlier case is the reason why the case cannot run, BalanceUnreadable if this is the
        first case without a balance.
        """
        kept, self._kept = self._kept, {}
        balances = {}
        for token in tokens:
            try:
                balances[token] = kept.get(token) or self.read(token)
            except BalanceUnreadable:
                if self._unreadable_since:
                    raise MoneyMissing(
                        f"not run: no balance can be read since the case {self._unreadable_since}"
                    ) from None
                raise
            self._note_change(token, sum(balances[token]))
        self._unreadable_since = ""
        for token, balance in balances.items():
            self._require_money(token, sum(balance))
        self._last_case |= dict.fromkeys(balances, case)
        return balances

    def note_unreadable(self, case: str) -> None:
        """Store that no balance can be read since this case."""
        self._unreadable_since = self._unreadable_since or case

    def keep(self, token: str, balance: Balance) -> None:
        """Store a balance that was read after the last request of a case."""
        self._kept[token] = balance

    def read_changes(self) -> dict[str, int | None]:
        """Return the change of each balance since the start of the run, in cents, None if it cannot be read."""
        changes: dict[str, int | None] = {}
        for token, start in self._initial.items():
            try:
                balance = sum(self.read(token))
            except BalanceUnreadable:
                changes[token] = None
                continue
            self._note_change(token, balance)
            changes[token] = balance - start
        return changes

    def _note_change(self, token: str, cents: int) -> None:
        if change := cents - self._last_seen[token]:
            self.faults.append(BalanceFault(self._last_case.get(token, ""), token, change))
            self._last_seen[token] = cents

    def _require_money(self, token: str, cents: int) -> None:
        if cents < self._min_cents:
            first = next(fault.case for fault in self.faults if fault.token == token and fault.change < 0)
            raise MoneyMissing(
                f"not run: --{option_name(token)} has {format_amount(cents)} and the case needs"
                f" {format_amount(self._min_cents)}; money is missing since the case {first}"
            )

    def _request(self, token: str) -> Observed:
        return self._client.query(self._build_query(token))

    def _build_query(self, token: str) -> HttpRequest:
        return self._client.build(self._client.suite.balance_request.by(token), _NoBindings())

    def _check_setup(self) -> dict[str, int]:
        """Return the balance behind each watched token, in cents.

        Raise SetupError if a token or its balance does not fit the cases, WalletUnreachable if no reply arrives.
        """
        holders: dict[str, tuple[object, object]] = {}
        balances: dict[str, int] = {}
        for name in (name for name in WATCHED_TOKENS if name in self._client.tokens):
            observed = self._request(name)
            if not observed.status:
                raise WalletUnreachable(f"{self._client.url}: {observed.summary}; is that the wallet's address?")
            if observed.outcome != "accepted" or observed.balance is None:
                hint = ""
                if observed.status in (404, 405):
                    url = self._client.url + self._build_query(name).path
                    hint = f"; the URL was {url}: if the wallet has another path, change the URL or add --path"
                if self._client.lacks_account(name):
                    hint += f"; the request names a player and a currency: add --account {name}=PLAYER/CURRENCY"
                raise SetupError(f"no balance for --{option_name(name)}, so no case was run: {observed.text}{hint}")
            balances[name] = sum(observed.balance)
            holders[name] = self._client.add_account(name, observed.holder)
            if balances[name] < self._min_cents:
                available, required = format_amount(balances[name]), format_amount(self._min_cents)
                raise SetupError(f"the player of --{option_name(name)} has {available}; the cases need {required}")
        player, currency = holders["token"]
        if "second" in holders and (holders["second"][0] == player or holders["second"][1] != currency):
            raise SetupError("--second-token must belong to another player with the same currency")
        if "currency" in holders and (holders["currency"][0] != player or holders["currency"][1] == currency):
            raise SetupError("--currency-token must belong to the same player in another currency")
        for name in (name for name in ("expired", "revoked") if name in self._client.tokens):
            observed = self._request(name)
            # Most wallets refuse such a session, and the kit cannot see its player.
            if observed.outcome == "accepted" and self._client.add_account(name, observed.holder) != holders["token"]:
                raise SetupError(f"--{option_name(name)} must belong to the player and the currency of --token")
        return balances


def option_name(token: str) -> str:
    """Return the name of the command's option for this token."""
    return token if token == "token" else f"{token}-token"  # noqa: S105 the name of a token, not one
