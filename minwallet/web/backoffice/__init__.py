"""The back office below `/admin`: the operator's pages."""

from starlette.routing import BaseRoute

from minwallet.config import Settings
from minwallet.wallet.service import Wallet
from minwallet.web.backoffice import (
    access_pages,
    agent_pages,
    call_list,
    ledger_feed,
    limit_forms,
    login_pages,
    overview,
    player_detail,
    player_list,
    reconciliation_pages,
    round_pages,
    session_forms,
    settings_page,
    transaction_detail,
    transaction_list,
)
from minwallet.web.backoffice.page import PageRouter
from minwallet.web.gateway.recent_calls import RecentCalls


def routes(wallet: Wallet, app_settings: Settings, sqlite_version: str, recent_calls: RecentCalls) -> list[BaseRoute]:
    """Return the routes of all pages, including sign-in."""
    router = PageRouter(wallet, app_settings, sqlite_version, recent_calls)
    ledger_pages = (
        player_list,
        player_detail,
        limit_forms,
        session_forms,
        transaction_list,
        transaction_detail,
        ledger_feed,
        round_pages,
        call_list,
        reconciliation_pages,
    )
    return [
        route
        for module in (login_pages, overview, *ledger_pages, agent_pages, access_pages, settings_page)
        for route in module.routes(router)
    ]
