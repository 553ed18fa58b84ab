"""One page with all components of the pages, and a small site that serves it."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, Kind, Refusal, State
from minwallet.storage.errors import StoreError
from minwallet.web import templating
from minwallet.web.listeners import open_listener
from tests.support import TIMEOUT_S

GALLERY_TEMPLATE = (Path(__file__).parent / "component_gallery.html").read_text("utf-8")

NOON_MS = 1_795_262_400_000
"""2026-11-21 12:00 UTC."""


def make_row(seq: int, kind: Kind, change: int, state: State, cash_after: int) -> dict[str, Any]:
    """Return a row as storage lists it: an entry and its owner."""
    entry = Entry(
        seq=seq,
        at_ms=NOON_MS + seq * 7_123,
        account_id=1,
        previous_seq=seq - 1,
        protocol="wallet-v2" if seq % 2 else "vela",
        kind=kind,
        id=str(18_400_000_000 + seq),
        round=str(9_000 + seq // 2),
        game="1012",
        detail=None,
        stake=abs(change),
        payout=0,
        amount=change,
        bonus_amount=0,
        cash_after=cash_after,
        bonus_after=500,
        state=state,
        refusal=Refusal.INSUFFICIENT_FUNDS if state is State.REFUSED else None,
        reference=None,
        hash=b"",
    )
    return {"entry": entry, "owner": AccountRef("default", "alice", "USD")}


def make_rows() -> list[dict[str, Any]]:
    """Return a row of each kind and state, newest first."""
    return [
        make_row(8, Kind.WITHDRAW, -2_500, State.APPLIED, 10_650),
        make_row(7, Kind.WIN, 450, State.ORPHAN, 13_150),
        make_row(6, Kind.CANCEL, 0, State.CLOSED, 12_700),
        make_row(5, Kind.BET, 0, State.REFUSED, 12_700),
        make_row(4, Kind.BETWIN, 1_200, State.APPLIED, 12_700),
        make_row(3, Kind.WIN, 2_000, State.APPLIED, 11_500),
        make_row(2, Kind.BET, -500, State.APPLIED, 9_500),
        make_row(1, Kind.DEPOSIT, 10_000, State.APPLIED, 10_000),
    ]


def make_charts() -> tuple[templating.Chart, templating.Chart]:
    """Return a line chart, and bars of both signs."""
    rng = random.Random(4)
    balance, at = [], 10_000
    for _ in range(60):
        at += rng.randint(-600, 680)
        balance.append(at)
    minutes = [NOON_MS // 1000 + 60 * number for number in range(60)]
    days = [NOON_MS // 1000 // 86_400 * 86_400 - 86_400 * number for number in reversed(range(14))]
    revenue = [rng.randint(-40_000, 250_000) for _ in days]
    return (
        {
            "x": minutes,
            "series": [{"label": "Cash", "values": balance, "shape": "steps", "colour": "accent"}],
            "money": True,
            "days": False,
        },
        {
            "x": days,
            "series": [{"label": "Revenue", "values": revenue, "shape": "bars", "colour": "accent"}],
            "money": True,
            "days": True,
        },
    )


class ComponentGallery:
    """The site: the page, a feed with given messages, and pages that fail."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[str | None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.app = templating.create_pages_app(
            [
                Route("/admin", self._send_page),
                Route("/admin/feed", self._send_feed),
                Route("/admin/broken", self._raise_fault),
                Route("/admin/done", self._send_page, methods=["POST"]),
            ]
        )

    def send_message(self, html: str | None) -> None:
        """Send a message to the readers of the feed. None ends the feed."""
        for reader in list(self._queues):
            assert self._loop is not None
            self._loop.call_soon_threadsafe(reader.put_nowait, html)

    async def _send_page(self, request: Request) -> Response:
        del request
        balance, revenue = make_charts()
        text = templating._environment.from_string(GALLERY_TEMPLATE).render(
            admin="owner", csrf="c", flash=("ok", "Deposited 25.00 USD."), start=NOON_MS, rows=make_rows(),
            balance=balance, revenue=revenue,
        )  # fmt: skip
        return HTMLResponse(text)

    async def _send_feed(self, request: Request) -> Response:
        del request
        self._loop = asyncio.get_running_loop()
        reader: asyncio.Queue[str | None] = asyncio.Queue()

        async def messages() -> AsyncIterator[str]:
            self._queues.add(reader)
            try:
                yield ": it begins\n\n"
                while (html := await reader.get()) is not None:
                    yield "".join(f"data: {line}\n" for line in html.splitlines()) + "\n"
            finally:
                self._queues.discard(reader)

        return StreamingResponse(messages(), media_type="text/event-stream")

    async def _raise_fault(self, request: Request) -> Response:
        raise StoreError("the disk is gone")


@contextmanager
def serve_gallery() -> Iterator[tuple[ComponentGallery, str]]:
    """Serve the gallery, and yield it with its URL."""
    gallery = ComponentGallery()
    config = uvicorn.Config(gallery.app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with open_listener("127.0.0.1", 0) as socket:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield gallery, f"http://127.0.0.1:{socket.getsockname()[1]}"
        finally:
            server.should_exit = True
            gallery.send_message(None)
            thread.join(TIMEOUT_S)
