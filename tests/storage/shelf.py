"""What the stores' tests share: running their coroutines, and orders in a few words."""

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from minwallet.ledger.commands import MoneyCommand
from minwallet.ledger.outcomes import Outcome
from minwallet.storage.base import OPERATOR, NewSession, Opening, Order, Player, Store
from minwallet.storage.memory import MemoryStore
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.sessions import new_session

T = TypeVar("T")

NOW = 1_700_000_000_000
"""A moment in ms since 1970; stores are told the time."""

WALLET_V2, VELA = "wallet-v2", "vela"


class Run(Protocol):
    """Runs a coroutine to its end."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T: ...


async def open_store(engine: str, folder: Path) -> Store:
    """A fresh store of this engine."""
    if engine == "memory":
        return MemoryStore()
    return await SqliteStore.open(folder / "wallet.db", create=True)


def opening(player_id: str, cash: int = 0, bonus: int = 0, *, currency: str = "USD", **more: str) -> Opening:
    """An account to open; `agent` and `token` if not the default ones."""
    session: NewSession | None = new_session(more["token"], None) if "token" in more else None
    return Opening(more.get("agent", "default"), player_id, currency, cash, bonus, session)


def order(command: MoneyCommand, account_id: int, protocol: str = WALLET_V2, session_id: int | None = None) -> Order:
    """An order as the protocol of this name gives it."""
    return Order(command, protocol, account_id, session_id, ids_per_currency=protocol == WALLET_V2)


def operator(command: MoneyCommand, account_id: int) -> Order:
    return Order(command, OPERATOR, account_id)


async def players(store: Store, *openings: Opening) -> list[Player]:
    """The players of these openings, once they are made."""
    opened = await store.open_accounts(openings, NOW)
    assert opened.problems == ()
    found = [await store.find_player(each.agent, each.player_id) for each in openings]
    return [player for player in found if player]


def names(outcomes: Sequence[Outcome]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]
