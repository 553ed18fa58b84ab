"""All provider endpoints of a server, in front of the application that has its other paths."""

from starlette.routing import Route
from starlette.types import ASGIApp

from minwallet.config import Settings
from minwallet.protocols.registry import list_protocols, load_protocol
from minwallet.wallet.service import Wallet
from minwallet.web.gateway.access_log import AccessLog, LogStream
from minwallet.web.gateway.asgi import StaticRouter
from minwallet.web.gateway.client_address import ClientAddresses
from minwallet.web.gateway.gateway import Gateway
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.gateway.unknown_paths import UNKNOWN_PROTOCOL, PathExplainer, UnknownPathLog
from minwallet.web.gateway.unknown_token_limit import UnknownTokenLimiter
from minwallet.web.metrics import Metrics


def create_provider_router(
    app: ASGIApp, wallet: Wallet, settings: Settings, log: LogStream, *, metrics: Metrics, recent_calls: RecentCalls
) -> StaticRouter:
    """Return the router of the endpoints of all protocols that the server answers. Other paths lead to `app`."""
    provider: list[Route] = []
    below_agent_keys: list[Route] = []
    token_limiter, addresses = UnknownTokenLimiter(), ClientAddresses(settings.forwarded_allow)
    protocols = {name: load_protocol(name) for name in list_protocols(settings.protocols)}
    access_logs = {name: AccessLog(log, name) for name in (*protocols, UNKNOWN_PROTOCOL)}
    for name, protocol in protocols.items():
        gateway = Gateway(
            protocol,
            wallet,
            settings,
            token_limiter,
            access_log=access_logs[name],
            call_recorder=metrics.call_recorder(name),
            recent_calls=recent_calls,
            addresses=addresses,
        )
        provider += gateway.routes(settings.callback_prefix, require_wallet_token=settings.require_wallet_token)
        # There the key names the agent, so no wallet token is required.
        below_agent_keys += gateway.routes("", require_wallet_token=False)
    explainer = PathExplainer(protocols.values(), settings.callback_key)
    unknown_paths = UnknownPathLog(explainer, access_logs, recent_calls, addresses, wallet.clock_ms)
    return StaticRouter(
        app,
        provider,
        settings.callback_prefix,
        agent_routes=below_agent_keys,
        find_agent=wallet.callback_keys.find_agent,
        record_unknown_path=unknown_paths.record,
    )
