"""Random histories over real HTTP, both protocols and the operator's desk, held against a naive model, with servers
that are stopped or killed and started again between two steps. Each history has an agent of its own in a file of many.
"""

import asyncio
import json
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from minwallet.operations.requests import Envelope, OperationRequest, Reply, Transfer
from minwallet.protocols.wire import Call
from minwallet.storage.file_lock import read_control_endpoint
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import clock_ms
from tests.faults.clients import Asked, Seat
from tests.faults.history import History, Said, now_s
from tests.faults.trial import assert_nothing_lost
from tests.support import PATIENCE_S, Server
from tests.wallet.wallet_state_machine import ACCOUNTS, WalletStateMachine, populate

HISTORIES_A_FILE = 50

FEW = 200

SHORT, LONG = 50, 100
"""How many steps a history has: the short one where few are tried."""

RESTARTS_AT = 7
"""One roll of 40 restarts the server: so many histories share one that the most of the time goes into steps."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """`size` histories; each answer is the model's, and in the end the file is what the examiner expects."""
    counts: Counter[str] = Counter()
    steps = SHORT if size <= FEW else LONG
    for first in range(0, size, HISTORIES_A_FILE):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            house = House(Path(place) / "wallet.db")
            try:
                _run(house, min(HISTORIES_A_FILE, size - first), steps, seed + first)
                house.stop(signal.SIGTERM)
            finally:
                house.server.stop()
            counts += house.counts + assert_nothing_lost(house.file, house.history)
    assert counts["restarts"] >= size // 100, "the server was hardly ever started again"
    return counts


def _run(house: "House", histories: int, steps: int, number: int) -> None:
    class Chosen(OverHttp):
        pass

    Chosen.house = house
    chosen = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Chosen), settings=chosen)


class House:
    """A file with agents for many histories, and the server that runs on it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.history = History()
        self.counts: Counter[str] = Counter()
        self._numbers = count()
        self._free: Iterator[str] = iter(())
        self.furnish()
        self.start()

    def furnish(self) -> None:
        """Agents for the next histories; nobody serves the file meanwhile."""

        async def work() -> None:
            store = await SqliteStore.open(self.file, create=True)
            try:
                await populate(store, agents)
            finally:
                await store.close()

        agents = [f"agent{next(self._numbers)}" for _ in range(HISTORIES_A_FILE + 10)]
        asyncio.run(work())
        self._free = iter(agents)

    def take(self) -> str:
        """An agent that no history had before."""
        self.counts["histories"] += 1
        agent = next(self._free, None)
        if agent is None:
            # So many are needed only where a failure is being made smaller.
            self.stop(signal.SIGTERM)
            self.furnish()
            self.start()
            agent = next(self._free)
        return agent

    def start(self) -> None:
        self.server = Server(self.file)
        desk = read_control_endpoint(self.file)
        assert desk is not None
        self.public, self.desk = (
            HTTPConnection(urlsplit(url).netloc, timeout=PATIENCE_S) for url in (desk.serves, desk.url)
        )
        self.key = {"authorization": f"Bearer {desk.key}"}

    def stop(self, how: signal.Signals) -> None:
        self.public.close()
        self.desk.close()
        code = self.server.stop(how)
        log = self.server.log.read_text()
        assert code in (0, -signal.SIGKILL), log
        assert "Traceback" not in log, log


class OverHttp(WalletStateMachine):
    """Asks the server that runs on the house's file."""

    house: House

    def set_up_wallet(self) -> None:
        self.agent = self.house.take()
        self.now_ms = clock_ms()

    def send_call(self, account_index: int, protocol: str, operation: str, raw: bytes) -> bytes:
        wire = self.protocols[protocol]
        (path,) = [path for path, named in wire.routes.items() if named == operation and "{" not in path]
        line, sent_at = self.house.public, now_s()
        if wire.method == "GET":
            line.request("GET", f"{path}?{raw.decode()}")
        else:
            line.request("POST", path, raw)
        response = line.getresponse()
        body = response.read()
        call = wire.parse(operation, raw)
        assert isinstance(call, Call), call
        player, currency = ACCOUNTS[account_index]
        asked = Asked(Seat(player, call.token, currency, self.agent), protocol, call.operation, call.command)
        assert response.status == 200, body
        self.house.history.append(asked.said(sent_at, response.status, body))
        return body

    def execute_request(self, request: OperationRequest) -> Reply | None:
        sent_at = now_s()
        content = Envelope(actor="a test", request=request).model_dump_json()
        self.house.desk.request("POST", "/control", content, self.house.key)
        response = self.house.desk.getresponse()
        body = response.read()
        assert response.status in (200, 409), body
        reply: Reply | None = json.loads(body)["done"] if response.status == 200 else None
        if isinstance(request, Transfer):
            self.house.history.append(_said(request, reply, sent_at))
        return reply

    def maybe_restart(self, roll: int, is_graceful: bool) -> None:
        if roll == RESTARTS_AT:
            self.house.counts["restarts"] += 1
            self.house.stop(signal.SIGTERM if is_graceful else signal.SIGKILL)
            self.house.start()
            assert self.house.server.http.get("/readyz").status_code == 200

    def check_and_stop(self) -> None:
        """The file is examined when all histories are in it."""


def _said(request: Transfer, reply: Reply | None, sent_at: float) -> Said:
    said = Said(
        sent_at, now_s(), "operator", request.operation, request.agent, request.player_id, request.currency or ""
    )
    said = said._replace(id=request.reference, is_bonus=request.bonus, code=1)
    if reply:
        said = said._replace(code=0, balance=reply["cash"], balance2=reply["bonus"])
    return (
        said._replace(payout=request.amount) if request.operation == "deposit" else said._replace(stake=request.amount)
    )
