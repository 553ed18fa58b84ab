"""The back office below `/admin`: pages for whoever runs the wallet."""

from starlette.routing import BaseRoute

from minwallet.config import Settings
from minwallet.wallet.service import Wallet
from minwallet.web.backoffice import overview, sign_in
from minwallet.web.backoffice.frame import Frame


def routes(wallet: Wallet, settings: Settings) -> list[BaseRoute]:
    """Every page, and the doors to them."""
    frame = Frame(wallet, settings)
    return [*sign_in.routes(frame), *overview.routes(frame)]
