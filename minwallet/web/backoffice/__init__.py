"""The back office below `/admin`: pages for whoever runs the wallet."""

from starlette.routing import BaseRoute

from minwallet.config import Settings
from minwallet.wallet.service import Wallet
from minwallet.web.backoffice import (
    overview,
    player,
    players,
    reconciliation,
    rounds,
    sessions,
    sign_in,
    transaction,
    transactions,
)
from minwallet.web.backoffice.frame import Frame


def routes(wallet: Wallet, settings: Settings, sqlite_version: str) -> list[BaseRoute]:
    """Every page, and the doors to them."""
    frame = Frame(wallet, settings, sqlite_version)
    rooms = (sign_in, overview, players, player, sessions, transactions, transaction, rounds, reconciliation)
    return [route for room in rooms for route in room.routes(frame)]
