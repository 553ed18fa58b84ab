"""The account of a call: that of its session, or without a token that of a player at a known agent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from minwallet.ledger.commands import Balance, Bet, Command, Win
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Refused, Unauthenticated
from minwallet.storage.models import NewAccount, PlayerStatus, SessionHolder
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import Wallet
from minwallet.wallet.sessions import build_new_session

pytestmark = pytest.mark.anyio

TOKEN, EXPIRED, FOREIGN = "token_of_ann", "expired_of_ann", "token_of_zoe"

DEFAULT, OTHER = 1, 2
"""Two agents. Each has a player `ann` with USD."""


class CountingStore(SqliteStore):
    """The real store, which counts the look-ups of accounts."""

    lookups = 0

    async def find_account_holder(self, agent_id: int, player_id: str, currency: str) -> SessionHolder | None:
        self.lookups += 1
        return await super().find_account_holder(agent_id, player_id, currency)


@asynccontextmanager
async def open_wallet(db: Path) -> AsyncIterator[tuple[Wallet, CountingStore]]:
    store = await CountingStore.open(db, create=True)
    assert await store.accounts.add_agent("other", "other_token", None, 0) is not None
    accounts = [
        NewAccount("default", "ann", "USD", 1000, 0, build_new_session(TOKEN, None)),
        NewAccount("default", "ann", "EUR", 50, 0, build_new_session(EXPIRED, 1)),
        NewAccount("other", "ann", "USD", 7, 0, build_new_session(FOREIGN, None)),
    ]
    await store.accounts.create_accounts(accounts, 0)
    async with Wallet(store) as wallet:
        yield wallet, store


async def execute(
    wallet: Wallet,
    token: str = "",
    command: Command | None = None,
    *,
    agent_id: int | None = None,
    wallet_token: str | None = None,
    player: tuple[str, str] = ("", ""),
) -> Outcome | Unauthenticated:
    player_id, currency = player
    outcome, holder = await wallet.execute(
        token,
        command or Balance(),
        "orbit",
        ids_per_currency=False,
        agent_id=agent_id,
        wallet_token=wallet_token,
        player_id=player_id,
        currency=currency,
    )
    assert (holder is None) == isinstance(outcome, Unauthenticated)
    return outcome


async def test_a_known_agent_names_the_account(db: Path) -> None:
    """Agent, player and currency decide. The account is looked up once."""
    async with open_wallet(db) as (wallet, store):
        for _ in range(3):
            assert await execute(wallet, agent_id=DEFAULT, player=("ann", "USD")) == BalanceShown(1000, 0)
        assert store.lookups == 1
        assert await execute(wallet, agent_id=DEFAULT, player=("ann", "EUR")) == BalanceShown(50, 0)
        assert await execute(wallet, agent_id=OTHER, player=("ann", "USD")) == BalanceShown(7, 0)
        wallet.clear_session_cache()
        await execute(wallet, agent_id=DEFAULT, player=("ann", "USD"))
        assert store.lookups == 4


@pytest.mark.parametrize(
    "player",
    [
        ("zoe", "USD"),
        ("zoe", ""),
        ("ANN", "USD"),
        ("\ud800", "USD"),
        ("a\x00", "USD"),
        ("x" * 9999, "USD"),
    ],
)
async def test_any_other_player_is_unknown(db: Path, player: tuple[str, str]) -> None:
    """Whatever the text is. A player of another agent is unknown, too."""
    async with open_wallet(db) as (wallet, _):
        expected = Unauthenticated(Refusal.PLAYER_UNKNOWN)
        assert await execute(wallet, agent_id=DEFAULT, player=player) == expected
        assert await execute(wallet, agent_id=3, player=("ann", "USD")) == expected


@pytest.mark.parametrize("currency", ["GBP", "usd", "", "\ud800", "x" * 9999])
async def test_a_known_player_without_an_account_in_the_currency_has_a_refusal_of_its_own(
    db: Path, currency: str
) -> None:
    """The provider can tell a wrong currency from a wrong player."""
    async with open_wallet(db) as (wallet, _):
        outcome = await execute(wallet, agent_id=DEFAULT, player=("ann", currency))
        assert outcome == Unauthenticated(Refusal.CURRENCY_MISMATCH)
        assert await execute(wallet, agent_id=DEFAULT, player=("zoe", currency)) == Unauthenticated(
            Refusal.PLAYER_UNKNOWN
        )


@pytest.mark.parametrize("wallet_token", [None, "default", "other_token"])
async def test_without_a_token_the_agent_must_be_known_by_a_secret(db: Path, wallet_token: str | None) -> None:
    """A wallet token is in the path of a call and in each launch URL, so a player knows it."""
    async with open_wallet(db) as (wallet, store):
        outcome = await execute(wallet, wallet_token=wallet_token, player=("ann", "USD"))
        assert outcome == Unauthenticated(Refusal.SESSION_UNKNOWN)
        assert store.lookups == 0


async def test_the_wallet_token_in_the_path_must_be_the_agents(db: Path) -> None:
    """A signature of one agent does not open the path of another."""
    async with open_wallet(db) as (wallet, _):
        call = {"agent_id": DEFAULT, "player": ("ann", "USD")}
        assert isinstance(await execute(wallet, wallet_token="default", **call), BalanceShown)  # type: ignore[arg-type]  # the dict holds values of several types
        outcome = await execute(wallet, wallet_token="other_token", **call)  # type: ignore[arg-type]  # the dict holds values of several types
        assert outcome == Unauthenticated(Refusal.PLAYER_UNKNOWN)


@pytest.mark.parametrize(
    ("token", "player", "agent_id", "refusal"),
    [
        (TOKEN, ("ann", "USD"), None, None),
        (TOKEN, ("ann", ""), DEFAULT, None),
        (TOKEN, ("", "USD"), DEFAULT, None),
        (TOKEN, ("bob", "USD"), None, Refusal.PLAYER_MISMATCH),
        (TOKEN, ("bob", "EUR"), None, Refusal.PLAYER_MISMATCH),
        (TOKEN, ("ann", "EUR"), None, Refusal.CURRENCY_MISMATCH),
        (TOKEN, ("ann", "usd"), DEFAULT, Refusal.CURRENCY_MISMATCH),
        (TOKEN, ("ann", "USD"), OTHER, Refusal.SESSION_UNKNOWN),
        (FOREIGN, ("ann", "USD"), DEFAULT, Refusal.SESSION_UNKNOWN),
        ("unknown", ("ann", "USD"), DEFAULT, Refusal.SESSION_UNKNOWN),
    ],
)
async def test_a_call_must_not_contradict_its_session(
    db: Path, token: str, player: tuple[str, str], agent_id: int | None, refusal: Refusal | None
) -> None:
    """The refusal comes before the money. A session of another agent is unknown."""
    async with open_wallet(db) as (wallet, store):
        before = await store.ledger.count_entries()
        outcome = await execute(wallet, token, Bet("1", 5, "1"), agent_id=agent_id, player=player)
        if refusal is None:
            assert isinstance(outcome, Applied)
        else:
            assert outcome == Unauthenticated(refusal)
            assert await store.ledger.count_entries() == before


async def test_without_a_session_its_end_does_not_matter(db: Path) -> None:
    """A blocked player still cannot bet, and a win is paid."""
    async with open_wallet(db) as (wallet, store):
        expired = await execute(wallet, EXPIRED, Bet("1", 5, "1"), agent_id=DEFAULT, player=("ann", "EUR"))
        assert isinstance(expired, Refused)
        assert expired.refusal is Refusal.SESSION_EXPIRED
        call = {"agent_id": DEFAULT, "player": ("ann", "EUR")}
        assert isinstance(await execute(wallet, "", Bet("2", 5, "2"), **call), Applied)  # type: ignore[arg-type]  # the dict holds values of several types
        await store.accounts.set_player_status(1, PlayerStatus.BLOCKED)
        blocked = await execute(wallet, "", Bet("3", 5, "3"), **call)  # type: ignore[arg-type]  # the dict holds values of several types
        assert isinstance(blocked, Refused)
        assert blocked.refusal is Refusal.PLAYER_BLOCKED
        assert isinstance(await execute(wallet, "", Win("4", 5, "2"), **call), Applied)  # type: ignore[arg-type]  # the dict holds values of several types
