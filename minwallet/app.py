"""The composition root: engine, wallet and adapters become one server."""

import asyncio
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from minwallet.config import BadSettings, CannotListen, Settings, seconds
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.journal_pruning import run_pruning
from minwallet.operations.maintenance import run_backups
from minwallet.operations.requests import AdminLink
from minwallet.operations.totals_aggregation import run_aggregation
from minwallet.protocols.registry import PROTOCOLS, load_protocol
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.sqlite.backup import back_up
from minwallet.wallet.disk_space import BYTES_PER_MB
from minwallet.wallet.feed import CommitNotifier
from minwallet.wallet.service import Wallet
from minwallet.web import admin_api, backoffice, control_endpoint, health
from minwallet.web.admin_api.operation import ApiContext
from minwallet.web.gateway.access_log import AccessLog, LogStream
from minwallet.web.gateway.asgi import StaticRouter
from minwallet.web.gateway.gateway import Gateway
from minwallet.web.gateway.http_protocol import (
    LimitedHttpProtocol,
    LimitedServerConfig,
    raise_connection_limit,
    sweep_timeouts,
)
from minwallet.web.gateway.unknown_token_limit import UnknownTokenLimiter
from minwallet.web.health import build_health_report
from minwallet.web.log_setup import configure_logging
from minwallet.web.metrics import Metrics
from minwallet.web.templating import create_pages_app

GRACE_S = 10
"""How long a stopping server waits for the calls it has begun."""


Pages = Callable[[Wallet, str], Sequence[Route]]
"""Further pages, of this wallet and of where it takes provider calls."""


def create_app(
    wallet: Wallet,
    settings: Settings,
    desk_port: int,
    desk_key: str,
    log: LogStream,
    *,
    metrics: Metrics,
    pages: Sequence[Route] = (),
) -> ASGIApp:
    """Everything the server answers, with further pages if there are any."""
    provider: list[Route] = []
    strangers, version = UnknownTokenLimiter(settings.forwarded_allow), SqliteStore.sqlite_version
    for name in PROTOCOLS:
        told, meter = AccessLog(log, name), metrics.call_recorder(name)
        provider += Gateway(
            load_protocol(name), wallet, settings, strangers, access_log=told, call_recorder=meter
        ).routes()
    api = ApiContext(wallet, partial(build_health_report, wallet, settings, version, wallet.clock_ms()), asyncio.Lock())
    operator = [
        *health.create_health_routes(wallet, version),
        *metrics.routes(api),
        *control_endpoint.create_control_routes(wallet, desk_port, desk_key),
    ]
    site = create_pages_app([*backoffice.routes(wallet, settings, version), *pages])
    # Signing in depends on who calls and whether over TLS, so here a proxy's word is always asked.
    proxied: Any = ProxyHeadersMiddleware(cast(Any, site), settings.forwarded_allow)
    below = ("/admin", "/admin/{rest:path}", "/demo", "/demo/{rest:path}")
    routes = [
        *operator,
        *admin_api.create_api_routes(api, settings.public_url),
        *(Route(path, proxied) for path in below),
    ]
    app = Starlette(routes=routes)
    # A provider that adds a slash shall get a plain 404, not a redirect that it would follow with another method.
    app.router.redirect_slashes = False
    return StaticRouter(app, provider, settings.callback_prefix)


Beside = Callable[[], AbstractAsyncContextManager[None]]


def serve(
    settings: Settings,
    announce: Callable[[str], None],
    *,
    invite: Callable[[str], None] | None = None,
    log: LogStream | None = None,
    beside: Beside = nullcontext,
    pages: Pages = lambda *_: (),
) -> None:
    """Serve until told to stop; tells `announce` the address. BadSettings, CannotListen, DatabaseUnusable, StoreError.

    `invite` is told an address that signs in to the back office, as long as nobody has a password or is signed in.
    `log` is where the access log goes, if not to stderr. `beside` is entered once calls are answered, and left after
    the last. `pages` are further pages.
    """
    handed_over = take_socket()
    if handed_over:
        # It says itself where it listens, whatever is set.
        host, port = handed_over.getsockname()[:2]
        settings = settings.model_copy(update={"host": host, "port": port})
    settings.refuse_to_be_exposed()
    configure_logging(log or sys.stderr)
    _make_backup_folder(settings)
    owner = DatabaseLock.acquire_or_fail(settings.db)
    try:
        with handed_over or listen(settings.host, settings.port) as public, listen("127.0.0.1", 0) as private:
            config = _configure(settings)
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                sockets = [public, private]
                serving = _serve(
                    settings,
                    config,
                    sockets,
                    owner,
                    announce=announce,
                    invite=invite,
                    log=log or sys.stderr,
                    beside=beside,
                    pages=pages,
                )
                runner.run(serving)
    finally:
        owner.release()


async def _serve(
    settings: Settings,
    config: LimitedServerConfig,
    sockets: list[socket.socket],
    owner: DatabaseLock,
    *,
    announce: Callable[[str], None],
    invite: Callable[[str], None] | None,
    log: LogStream,
    beside: Beside,
    pages: Pages,
) -> None:
    key = secrets.token_urlsafe(32)
    public_port, private_port = (each.getsockname()[1] for each in sockets)
    serves = _url(settings.host, public_port)
    store = await SqliteStore.open(settings.db, create=True, check=True)
    metrics = Metrics(store.sqlite_version)
    async with Wallet(
        store, min_free_bytes=settings.min_free_mb * BYTES_PER_MB, on_commit=metrics.record_commit
    ) as wallet:
        await wallet.disk_space.check()
        calls = serves + settings.callback_prefix
        more = pages(wallet, calls)
        config.app = create_app(wallet, settings, private_port, key, log, metrics=metrics, pages=more)
        config.control_port, config.max_connections = private_port, raise_connection_limit()
        server = _Server(config, wallet.commit_notifier)
        store.on_failure(lambda: setattr(server, "should_exit", True))
        _calm_the_collector()
        await _share_a_processor(store)
        # uvicorn raises the signal again when it has stopped, and by then there is still a file to close.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        owner.publish_endpoint(ControlEndpoint(os.getpid(), f"http://127.0.0.1:{private_port}", key, serves, calls))
        announce(serves)
        if invite and not await store.has_credentials():
            invite(settings.address_for_people(serves) + await _make_first_link(wallet))
        in_background = [asyncio.create_task(work) for work in _work_beside(settings, store, wallet, server)]
        serving = await start(server, sockets)
        try:
            async with beside():
                await serving
        finally:
            server.should_exit = True
            await serving
            for task in in_background:
                task.cancel()
        if store.failure:
            raise store.failure


def _work_beside(
    settings: Settings, store: SqliteStore, wallet: Wallet, server: "_Server"
) -> Iterator[Coroutine[None, None, None]]:
    """What is done for ever while calls are answered."""
    yield run_pruning(store, settings.journal_days, wallet.clock_ms)
    yield run_aggregation(store)
    yield store.finish_check()
    yield wallet.disk_space.run()
    yield sweep_timeouts(server.server_state.connections)
    if settings.backup_to:
        yield run_backups(
            lambda copy, tell: back_up(settings.db, copy, tell, is_served=True),
            Path(settings.backup_to),
            settings.db.stem,
            interval_s=seconds(settings.backup_every),
            keep=settings.backup_keep,
            clock_ms=wallet.clock_ms,
        )


def _make_backup_folder(settings: Settings) -> None:
    """A folder that cannot be had is told at the start, and not when a backup is needed."""
    if settings.backup_to:
        try:
            Path(settings.backup_to).mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            raise BadSettings(f"MINWALLET_BACKUP_TO: cannot make the folder {settings.backup_to}: {error}") from error


async def _make_first_link(wallet: Wallet) -> str:
    link = await execute(wallet, AdminLink(), "the server, at its start")
    assert not isinstance(link, OperationFailure)
    return str(link["path"])


class _Server(uvicorn.Server):
    """One that ends the feeds when it is told to stop: they would never end by themselves, and it waits for every
    answer that it has begun."""

    def __init__(self, config: uvicorn.Config, news: CommitNotifier) -> None:
        super().__init__(config)
        self._news = news

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._news.close()
        await super().shutdown(sockets)


async def start(server: uvicorn.Server, sockets: list[socket.socket]) -> "asyncio.Task[None]":
    """Let the server serve in the background; returns once it answers, or has failed."""
    serving = asyncio.create_task(server.serve(sockets=sockets))
    while not (server.started or serving.done()):
        await asyncio.wait({serving}, timeout=0.01)
    return serving


def _calm_the_collector() -> None:
    """What has been loaded by now stays; looking through it again and again would hold up bets for tens of ms."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _share_a_processor(store: SqliteStore) -> None:
    """Let the event loop and the threads that calls wait for take turns on one processor, where the system can.

    Between processors, handing over takes longer than most of what is handed over. All other threads run anywhere.
    """
    if hasattr(os, "sched_setaffinity"):
        anywhere = os.sched_getaffinity(0)
        here = {sorted(anywhere)[os.getpid() % len(anywhere)]}
        others = ThreadPoolExecutor(initializer=os.sched_setaffinity, initargs=(0, anywhere))
        asyncio.get_running_loop().set_default_executor(others)
        await store.run_on_call_threads(lambda: os.sched_setaffinity(0, here))
        os.sched_setaffinity(0, here)


def _configure(settings: Settings) -> LimitedServerConfig:
    # What uvicorn has to say of strangers' requests is nothing that an operator could act on.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return LimitedServerConfig(
        "",
        http=LimitedHttpProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        # Only an allow list needs to know who called, so only then is a proxy's word for it asked.
        proxy_headers=bool(settings.callback_allow),
        forwarded_allow_ips=settings.forwarded_allow,
        # Longer than a proxy keeps its own idle connections, so that it never writes to one we are closing.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_S,
    )


def listen(host: str, port: int, options: str = "--host or --port") -> socket.socket:
    """A socket that takes connections; CannotListen says why there can be none."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, TypeError, ValueError) as error:
        number = error.errno if isinstance(error, OSError) else None
        reason = os.strerror(number) if number and number > 0 else str(error)
        choose = f"choose another with {options}"
        raise CannotListen(f"cannot listen on {host} port {port}: {reason}; {choose}") from error


FIRST_PASSED = 3
"""The number of the first file that systemd passes; those before are the standard streams."""


def take_socket() -> socket.socket | None:
    """The listening socket that systemd has handed over to this process, None without one. CannotListen.

    The protocol is sd_listen_fds(3): whoever starts the process keeps the socket open, so a caller that comes while no
    server runs waits for the next one.
    """
    pid, number = os.environ.pop("LISTEN_PID", ""), os.environ.pop("LISTEN_FDS", "")
    if pid != str(os.getpid()) or number in ("", "0"):
        return None
    if number != "1":
        raise CannotListen(f"{number} sockets were handed over; name one ListenStream= in the socket unit")
    try:
        passed = socket.socket(fileno=FIRST_PASSED)
        is_internet = passed.family in (socket.AF_INET, socket.AF_INET6) and passed.type == socket.SOCK_STREAM
        if not is_internet or not passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError
    except OSError as error:
        raise CannotListen(
            "what was handed over is no listening TCP socket; use ListenStream= with an address and a port,"
            " and Accept=no, in the socket unit"
        ) from error
    passed.set_inheritable(False)
    return passed


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
