"""The back office below `/admin`: pages for whoever runs the wallet."""

from starlette.routing import BaseRoute

from minwallet.config import Settings
from minwallet.wallet.service import Wallet
from minwallet.web.backoffice import (
    access,
    agents,
    limits,
    live,
    overview,
    player,
    players,
    reconciliation,
    rounds,
    sessions,
    settings,
    sign_in,
    transaction,
    transactions,
)
from minwallet.web.backoffice.frame import Frame


def routes(wallet: Wallet, chosen: Settings, sqlite_version: str) -> list[BaseRoute]:
    """Every page, and the doors to them."""
    frame = Frame(wallet, chosen, sqlite_version)
    ledger = (players, player, limits, sessions, transactions, transaction, live, rounds, reconciliation)
    return [route for room in (sign_in, overview, *ledger, agents, access, settings) for route in room.routes(frame)]
