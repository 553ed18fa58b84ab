"""The provider as a web server.

`create_provider_app` builds the application. `create_server` builds a server for an existing event loop.
`serve_provider` runs a server in its own event loop until a signal stops it.
"""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from secrets import randbits
from typing import NamedTuple
from urllib.parse import urlsplit

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from minwallet.demo import game_pages, operator_api, script_api
from minwallet.demo.dealer import list_played_protocols
from minwallet.demo.faults import Fault
from minwallet.demo.round_store import RoundStore
from minwallet.demo.simulator import RoundRunner
from minwallet.demo.wallet_client import NoAnswer, WalletClient
from minwallet.protocols.registry import has_part

SHUTDOWN_TIMEOUT_S = 5
"""The time that a stopping provider waits for its open requests."""

MAX_BODY_BYTES = 8 * 1024


class ProviderOptions(NamedTuple):
    """The settings of the provider.

    - `secrets`: the secret of each protocol that signs its calls.
    - `first_id`: None means the clock, so that a second run never repeats the ids of the first.
    - `seed`: None means a random seed.
    """

    wallet_url: str
    host_id: str = "demo"
    wallet_token: str | None = None
    seed: int | None = None
    fault_rates: Mapping[Fault, float] = {}
    report_page: int = 100
    timeout_s: float = 2
    first_id: int | None = None
    secrets: Mapping[str, str] = {}


def create_provider_app(options: ProviderOptions, print_message: Callable[[str], None]) -> Starlette:
    """Return the application.

    It calls `print_message` if no wallet answers at the start, and for the rounds that are pending at the end.
    """
    first_id = time.time_ns() // 1000 if options.first_id is None else options.first_id
    seed = randbits(32) if options.seed is None else options.seed
    protocols = list_played_protocols()
    reported = tuple(name for name in protocols if has_part(name, "operator_service"))
    store = RoundStore(first_id, options.report_page, reported)
    client = WalletClient(options.wallet_url, options.wallet_token, options.timeout_s, options.secrets)
    runner = RoundRunner(client, store, seed, first_id, options.timeout_s)
    runner.fault_rates = options.fault_rates

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        wallet_check = asyncio.create_task(_check_wallet(client, options.wallet_url, print_message))
        yield
        wallet_check.cancel()
        await runner.stop()
        await client.close()
        if left := list(store.pending):
            some = ", ".join(left[:5]) + (" …" if len(left) > 5 else "")
            print_message(f"{len(left)} rounds are pending; their bets may stay open in the wallet: {some}")

    app = Starlette(
        routes=[
            *operator_api.routes(store, options.host_id, reported),
            *game_pages.routes(runner, protocols, options.host_id, options.wallet_token),
            *script_api.routes(runner),
        ],
        # Another host name means DNS rebinding: a foreign page that resolves its own name to this machine.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)],
        lifespan=lifespan,
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.runner = runner
    return app


class DemoServer(uvicorn.Server):
    """A server that stops after the rounds in progress, without the rest of a long `/demo/play` request."""

    def __init__(self, config: uvicorn.Config, runner: RoundRunner) -> None:
        super().__init__(config)
        self.runner = runner

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.runner.stop()
        await super().shutdown(sockets)


def _is_relevant(record: logging.LogRecord) -> bool:
    """Return False for the errors that a second Ctrl-C causes: it cancels the open requests, as intended."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "CancelledError" not in record.getMessage()


def create_server(options: ProviderOptions, print_message: Callable[[str], None]) -> DemoServer:
    """Return a server. Run it with `await server.serve(sockets=[…])`; set `should_exit` to stop it."""
    logging.getLogger("uvicorn.error").addFilter(_is_relevant)
    app = create_provider_app(options, print_message)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,  # Launch addresses contain tokens, which must not reach a log.
        lifespan="on",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_TIMEOUT_S,
    )
    return DemoServer(config, app.state.runner)


def serve_provider(options: ProviderOptions, listener: socket.socket, print_message: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM."""
    server = create_server(options, print_message)
    # uvicorn raises the signal again after its shutdown. Without handlers, that would end the process with an error.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))


async def _check_wallet(client: WalletClient, wallet_url: str, print_message: Callable[[str], None]) -> None:
    try:
        await client.ping()
    except NoAnswer as error:
        # The message contains only the host and port: the path of a wallet's address may contain a callback key.
        host = urlsplit(wallet_url).netloc.rpartition("@")[2]
        print_message(f"{error} at {host}; start the wallet, the provider needs no restart")
