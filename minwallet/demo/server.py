"""The provider as a web server: `create_provider` is the application, `create_server` runs it in any event loop, and
`serve` does so alone, until told to stop."""

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

from minwallet.demo import control, service, tables
from minwallet.demo.book import Book
from minwallet.demo.caller import Caller, NoAnswer
from minwallet.demo.croupier import Croupier
from minwallet.demo.mischief import Mischief

GRACE_S = 5
"""How long a stopping provider waits for the requests it has begun."""

LONGEST_BODY = 8 * 1024


class Options(NamedTuple):
    """How the provider is to be. `first_id` None takes the clock, so that a second run never meets the ids of the
    first; `seed` None takes chance.
    """

    wallet_url: str
    host_id: str = "demo"
    wallet_token: str | None = None
    seed: int | None = None
    odds: Mapping[Mischief, float] = {}
    report_page: int = 100
    timeout_s: float = 2
    first_id: int | None = None


def create_provider(options: Options, say: Callable[[str], None]) -> Starlette:
    """Everything the provider answers. `say` hears when there is no wallet, and what is left at the end."""
    first_id = time.time_ns() // 1000 if options.first_id is None else options.first_id
    seed = randbits(32) if options.seed is None else options.seed
    book = Book(first_id, options.report_page)
    caller = Caller(options.wallet_url, options.wallet_token, options.timeout_s)
    croupier = Croupier(caller, book, seed, first_id, options.timeout_s)
    croupier.odds = options.odds

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        del app
        knocking = asyncio.create_task(_knock(caller, options.wallet_url, say))
        yield
        knocking.cancel()
        await croupier.stop()
        await caller.close()
        if left := list(book.pending):
            some = ", ".join(left[:5]) + (" …" if len(left) > 5 else "")
            say(f"{len(left)} rounds are pending, and their bets may stay open in the wallet: {some}")

    app = Starlette(
        routes=[
            *service.routes(book, options.host_id),
            *tables.routes(croupier, options.host_id, options.wallet_token),
            *control.routes(croupier),
        ],
        # Any other name for this machine is that of a page which wants to be taken for the provider's own.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)],
        lifespan=lifespan,
        max_body_size=LONGEST_BODY,
    )
    app.state.croupier = croupier
    return app


class DemoServer(uvicorn.Server):
    """One that does not wait for thousands of rounds when it is told to stop, only for those in hand."""

    def __init__(self, config: uvicorn.Config, croupier: Croupier) -> None:
        super().__init__(config)
        self.croupier = croupier

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.croupier.stop()
        await super().shutdown(sockets)


def _is_news(record: logging.LogRecord) -> bool:
    """That a second Ctrl-C cuts everything short is no news to whoever pressed it."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, asyncio.CancelledError) and "CancelledError" not in record.getMessage()


def create_server(options: Options, say: Callable[[str], None]) -> DemoServer:
    """Run it with `await server.serve(sockets=[…])`; it ends when its `should_exit` is set."""
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    app = create_provider(options, say)
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,  # launch addresses hold tokens
        lifespan="on",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    return DemoServer(config, app.state.croupier)


def serve(options: Options, listener: socket.socket, say: Callable[[str], None]) -> None:
    """Serve alone, until told to stop."""
    server = create_server(options, say)
    # uvicorn raises the signal again when it has stopped, and that shall not be the end of it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(server, "should_exit", True))
    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(server.serve(sockets=[listener]))


async def _knock(caller: Caller, wallet_url: str, say: Callable[[str], None]) -> None:
    try:
        await caller.knock()
    except NoAnswer as silence:
        # Only the host: the rest of a wallet's address is the secret that protects it.
        say(f"{silence} at {urlsplit(wallet_url).netloc.rpartition('@')[2]}; rounds can be played as soon as one does")
