"""The composition root: it connects the storage engine, the wallet and the web adapters to one server.

Rules of the start, in this order:

1. The settings are checked, protection included, before the wallet file or a port is touched.
2. The lock file is taken before the database is opened: only one process may write to it.
3. The sockets listen before the database is opened, so that calls of a restart wait in the queue of the socket.
4. The control endpoint is published in the lock file when the wallet is open. A call that comes before the first
   accept waits in the queue of the socket.

The shutdown is the reverse: end the feeds, answer the calls in flight, close the wallet, release the lock.
"""

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

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from minwallet.config import Settings, parse_duration
from minwallet.ledger.time_units import HOUR_MS
from minwallet.operations.access_requests import AdminLink
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import OperationFailure
from minwallet.operations.maintenance import check_not_lost, run_aggregation, run_backups, run_pruning
from minwallet.setting_sources import SettingsError
from minwallet.storage.actors import SERVER_START
from minwallet.storage.database_files import copy_owner
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock
from minwallet.storage.sqlite import SqliteStore
from minwallet.storage.sqlite.backup import back_up
from minwallet.storage.sqlite.connection import ReadAccess
from minwallet.wallet.disk_space import BYTES_PER_MB
from minwallet.wallet.feed import CommitNotifier
from minwallet.wallet.service import Wallet
from minwallet.web import admin_api, backoffice, health
from minwallet.web.admin_api.operation import ApiContext
from minwallet.web.control_endpoint import create_control_app
from minwallet.web.gateway.access_log import LogStream
from minwallet.web.gateway.bounded_reads import BoundedReadProtocol
from minwallet.web.gateway.client_address import ProxyHeaders
from minwallet.web.gateway.connection_budget import ControlPort, LimitedServerConfig, raise_connection_limit
from minwallet.web.gateway.endpoints import create_provider_router
from minwallet.web.gateway.http_protocol import sweep_timeouts
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.health import build_health_report
from minwallet.web.host_check import HostCheck
from minwallet.web.index import create_index_route
from minwallet.web.listeners import limit_unsent_bytes, open_listener, take_systemd_socket
from minwallet.web.log_setup import configure_logging
from minwallet.web.metrics import Metrics
from minwallet.web.request_log import RequestLog
from minwallet.web.templating import create_pages_app

SHUTDOWN_GRACE_S = 10
"""The time that a stopping server waits for the calls in flight."""


PageFactory = Callable[[Wallet, str], Sequence[Route]]
"""A function that returns additional pages, for a wallet and the URL of its provider endpoints."""


def create_app(
    wallet: Wallet,
    settings: Settings,
    log: LogStream,
    *,
    metrics: Metrics,
    recent_calls: RecentCalls,
    pages: Sequence[Route] = (),
) -> ASGIApp:
    """Return the ASGI application: provider endpoints, admin API, back office, health, metrics, and `pages`."""
    version = SqliteStore.sqlite_version
    report_health = partial(build_health_report, wallet, settings, version, wallet.clock_ms())
    api = ApiContext(wallet, report_health, asyncio.Lock(), recent_calls)
    operator = [*health.create_health_routes(wallet, version), *metrics.routes(api)]
    site = create_pages_app([*backoffice.routes(wallet, settings, version, recent_calls), *pages])
    checked = HostCheck(site, settings.browser_hosts)
    site_paths = ("/admin", "/admin/{rest:path}", "/demo", "/demo/{rest:path}")
    routes = [
        create_index_route(settings, has_demo=bool(pages)),
        *operator,
        *admin_api.create_api_routes(api, settings.browser_url(_format_url(settings)), settings.browser_hosts),
        *(Route(path, checked) for path in site_paths),
    ]
    app = Starlette(routes=routes)
    # A provider that adds a slash gets a plain 404. It could follow a redirect with another method.
    app.router.redirect_slashes = False
    # Sign-in and log depend on the caller's address and on TLS, so here a proxy's headers are always evaluated.
    proxied = ProxyHeaders(RequestLog(log, app), settings.forwarded_allow)
    return create_provider_router(proxied, wallet, settings, log, metrics=metrics, recent_calls=recent_calls)


Companion = Callable[[], AbstractAsyncContextManager[None]]


def serve(
    settings: Settings,
    on_ready: Callable[[str], None],
    *,
    on_first_login_link: Callable[[str], None] | None = None,
    log: LogStream | None = None,
    companion: Companion = nullcontext,
    pages: PageFactory = lambda *_: (),
    listener: socket.socket | None = None,
) -> None:
    """Run the server until SIGINT or SIGTERM.

    Call `on_ready` with the server's URL. Call `on_first_login_link` with a sign-in link for the back office, as long
    as no admin has credentials. Write the access log to `log`, by default stderr. Enter `companion` when the server
    answers calls, and leave it after the last call. Serve additional `pages`. Listen on `listener`, by default on a
    socket of systemd or on the address of the settings.

    Raise SettingsError, BindError, DatabaseUnusable or StoreError.
    """
    if listener is None and (listener := take_systemd_socket()):
        # The socket unit determines the address, whatever the settings say.
        host, port = listener.getsockname()[:2]
        settings = settings.with_address("socket unit", host=host, port=port)
    settings.require_protection()
    check_not_lost(settings.db, settings.backup_to)
    configure_logging(log or sys.stderr)
    _create_backup_dir(settings)
    owner = DatabaseLock.acquire_or_fail(settings.db)
    try:
        with (
            listener or open_listener(settings.host, settings.port) as public,
            open_listener("127.0.0.1", 0) as private,
        ):
            limit_unsent_bytes(public)
            config = _build_uvicorn_config(settings)
            with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
                sockets = [public, private]
                serving = _run_server(
                    settings,
                    config,
                    sockets,
                    owner,
                    on_ready=on_ready,
                    on_first_login_link=on_first_login_link,
                    log=log or sys.stderr,
                    companion=companion,
                    pages=pages,
                )
                runner.run(serving)
    finally:
        owner.release()


async def _run_server(
    settings: Settings,
    config: LimitedServerConfig,
    sockets: list[socket.socket],
    owner: DatabaseLock,
    *,
    on_ready: Callable[[str], None],
    on_first_login_link: Callable[[str], None] | None,
    log: LogStream,
    companion: Companion,
    pages: PageFactory,
) -> None:
    key = secrets.token_urlsafe(32)
    public_port, private_port = (each.getsockname()[1] for each in sockets)
    if not settings.port:  # 0 stands for any free port
        settings = settings.with_address("a free port", port=public_port)
    base_url = _format_url(settings)
    store = await SqliteStore.open(settings.db, create=True, check=True)
    metrics, recent_calls = Metrics(store.sqlite_version), RecentCalls()
    async with Wallet(
        store,
        min_free_bytes=settings.min_free_mb * BYTES_PER_MB,
        settle_ms=settings.settle_hours * HOUR_MS,
        on_commit=metrics.record_commit,
    ) as wallet:
        await wallet.disk_space.check()
        await wallet.callback_keys.refresh()
        await wallet.protocol_secrets.refresh()
        provider_url = base_url + settings.callback_prefix
        extra_pages = pages(wallet, provider_url)
        config.app = create_app(wallet, settings, log, metrics=metrics, recent_calls=recent_calls, pages=extra_pages)
        control_app = create_control_app(wallet, key, settings, store.sqlite_version, recent_calls)
        config.control = ControlPort(private_port, RequestLog(log, control_app))
        config.max_connections = raise_connection_limit()
        server = _Server(config, wallet.commit_notifier)
        store.on_failure(lambda: setattr(server, "should_exit", True))
        _tune_gc()
        await _pin_to_cpu(store)
        # uvicorn raises the signal again after its shutdown. These handlers absorb it, so that the file is closed.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(server, "should_exit", True))
        owner.publish_endpoint(
            ControlEndpoint(os.getpid(), f"http://127.0.0.1:{private_port}", key, base_url, provider_url)
        )
        on_ready(base_url)
        if on_first_login_link and not await store.admin.has_credentials():
            on_first_login_link(settings.browser_url(base_url) + await _create_first_login_link(wallet))
        background_tasks = [asyncio.create_task(work) for work in _background_work(settings, store, wallet, server)]
        serving = await start_server(server, sockets)
        try:
            async with companion():
                await serving
        finally:
            server.should_exit = True
            await serving
            for task in background_tasks:
                task.cancel()
        if store.failure:
            raise store.failure


def _background_work(
    settings: Settings, store: SqliteStore, wallet: Wallet, server: "_Server"
) -> Iterator[Coroutine[None, None, None]]:
    """Yield the maintenance tasks that run as long as the server."""
    yield run_pruning(store, settings.journal_days, wallet.clock_ms)
    yield run_aggregation(store)
    yield wallet.callback_keys.run()
    yield wallet.protocol_secrets.run()
    yield store.finish_check()
    yield wallet.disk_space.run()
    yield sweep_timeouts(server.server_state.connections)
    if settings.backup_to:
        yield run_backups(
            lambda copy, tell: back_up(settings.db, copy, tell, nullcontext(ReadAccess.SERVED)),
            Path(settings.backup_to),
            settings.db.stem,
            interval_s=parse_duration(settings.backup_every),
            keep=settings.backup_keep,
            clock_ms=wallet.clock_ms,
            status=wallet.backup_status,
        )


def _create_backup_dir(settings: Settings) -> None:
    """Create the backup folder. Raise SettingsError if that fails: at the start, not when a backup is needed."""
    if settings.backup_to:
        try:
            is_new = not (folder := Path(settings.backup_to)).exists()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_new:
                copy_owner(settings.db if settings.db.exists() else settings.db.absolute().parent, folder)
        except (OSError, ValueError) as error:
            raise SettingsError(
                f"MINWALLET_BACKUP_TO: cannot create the folder '{settings.backup_to}': {error}"
            ) from error


async def _create_first_login_link(wallet: Wallet) -> str:
    link = await execute(wallet, AdminLink(), SERVER_START)
    assert not isinstance(link, OperationFailure)
    return str(link["path"])


class _Server(uvicorn.Server):
    """A uvicorn server that closes the feeds at shutdown.

    uvicorn waits for all responses that have begun, and a feed is a response without an end.
    """

    def __init__(self, config: uvicorn.Config, notifier: CommitNotifier) -> None:
        super().__init__(config)
        self._notifier = notifier

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._notifier.close()
        await super().shutdown(sockets)


async def start_server(server: uvicorn.Server, sockets: list[socket.socket]) -> "asyncio.Task[None]":
    """Run the server in a background task. Return the task when the server answers calls or has failed."""
    serving = asyncio.create_task(server.serve(sockets=sockets))
    while not (server.started or serving.done()):
        await asyncio.wait({serving}, timeout=0.01)
    return serving


def _tune_gc() -> None:
    """Exclude all objects of the start from garbage collection, and collect less often.

    The objects stay until the end. A full collection of them would delay bets for tens of ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


async def _pin_to_cpu(store: SqliteStore) -> None:
    """Pin the event loop and the threads that calls wait for to one processor, if the system supports it.

    A handover between processors takes longer than most of the work. All other threads may use every processor.
    """
    if hasattr(os, "sched_setaffinity"):
        all_cpus = os.sched_getaffinity(0)
        pinned_cpu = {sorted(all_cpus)[os.getpid() % len(all_cpus)]}
        unpinned_executor = ThreadPoolExecutor(initializer=os.sched_setaffinity, initargs=(0, all_cpus))
        asyncio.get_running_loop().set_default_executor(unpinned_executor)
        await store.run_on_call_threads(lambda: os.sched_setaffinity(0, pinned_cpu))
        os.sched_setaffinity(0, pinned_cpu)


def _build_uvicorn_config(settings: Settings) -> LimitedServerConfig:
    # uvicorn's warnings are about invalid requests of unknown clients. An operator could do nothing about them.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    return LimitedServerConfig(
        "",
        http=BoundedReadProtocol,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        # `client_address` evaluates the headers of a proxy.
        proxy_headers=False,
        # Longer than a proxy keeps its idle connections, so that it never writes to one that is being closed.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=SHUTDOWN_GRACE_S,
    )


def _format_url(settings: Settings) -> str:
    host = settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
