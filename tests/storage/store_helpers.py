"""Helpers of the stores' tests: opening a store, and short ways to build accounts and commands."""

from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from minwallet.ledger.commands import Group, MoneyCommand
from minwallet.ledger.outcomes import Outcome
from minwallet.storage.models import (
    OPERATOR_PROTOCOL,
    AccountCommand,
    NewAccount,
    NewSession,
    Player,
)
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.store import Store
from minwallet.wallet.sessions import build_new_session
from tests.storage.reference_engine.memory_store import MemoryStore

T = TypeVar("T")

NOW = 1_700_000_000_000
"""A fixed time in ms since 1970 UTC. Callers pass the time to a store."""

WALLET_V2, VELA, ORBIT = "wallet-v2", "vela", "orbit"
"""The protocols by name. A store needs no package of them. Orbit stands for one with rollbacks and groups."""


class Run(Protocol):
    """A function that runs a coroutine to its end."""

    def __call__(self, work: Coroutine[Any, Any, T], /) -> T: ...


async def open_store(engine: str, folder: Path) -> Store:
    """Open a new store of this engine."""
    if engine == "memory":
        return MemoryStore()
    return await SqliteStore.open(folder / "wallet.db", create=True)


def make_new_account(
    player_id: str, cash: int = 0, bonus: int = 0, *, currency: str = "USD", **options: str
) -> NewAccount:
    """Return an account to create. `options` are `agent` (default: default) and `token` (default: no session)."""
    session: NewSession | None = build_new_session(options["token"], None) if "token" in options else None
    return NewAccount(options.get("agent", "default"), player_id, currency, cash, bonus, session)


def make_command(
    command: MoneyCommand | Group, account_id: int, protocol: str = WALLET_V2, session_id: int | None = None
) -> AccountCommand:
    """Return a command as the protocol of this name builds it."""
    return AccountCommand(command, protocol, account_id, session_id, ids_per_currency=protocol == WALLET_V2)


def make_operator_command(command: MoneyCommand, account_id: int) -> AccountCommand:
    return AccountCommand(command, OPERATOR_PROTOCOL, account_id)


async def create_players(store: Store, *new_accounts: NewAccount) -> list[Player]:
    """Create the accounts, and return their players."""
    created = await store.accounts.create_accounts(new_accounts, NOW)
    assert created.problems == ()
    found = [await store.accounts.find_player(each.agent, each.player_id) for each in new_accounts]
    return [player for player in found if player]


def outcome_names(outcomes: Sequence[Outcome]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]
