"""Random histories over real HTTP, in both protocols and at the control endpoint, compared with a simple model.
Servers are stopped or killed between two steps. Each history has its own agent in a file of many."""

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

from minwallet.operations.requests import Envelope, OperationRequest, Reply, TransferRequest
from minwallet.protocols.wire import Call, HttpRequest, HttpResponse
from minwallet.storage.file_lock import read_control_endpoint
from minwallet.storage.sqlite import SqliteStore
from minwallet.wallet.service import clock_ms
from tests.faults.harness import assert_nothing_lost
from tests.faults.history import Attempt, History, monotonic_s
from tests.faults.load_clients import PlannedCall, SeededPlayer
from tests.support import TIMEOUT_S, Server
from tests.wallet.wallet_state_machine import ACCOUNTS, WalletStateMachine, populate

HISTORIES_PER_FILE = 50

SHORT_RUN = 200

SHORT_STEPS, LONG_STEPS = 50, 100
"""The number of steps of a history, in a short run and in a long one."""

RESTART_ROLL = 7
"""One roll of 40 restarts the server, so that most of the time is spent on steps."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Run `size` histories. Each answer is that of the model, and at the end the checker accepts the file."""
    counts: Counter[str] = Counter()
    steps = SHORT_STEPS if size <= SHORT_RUN else LONG_STEPS
    for first in range(0, size, HISTORIES_PER_FILE):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            model_wallet = ModelWallet(Path(place) / "wallet.db")
            try:
                _run_state_machine(model_wallet, min(HISTORIES_PER_FILE, size - first), steps, seed + first)
                model_wallet.stop(signal.SIGTERM)
            finally:
                model_wallet.server.stop()
            counts += model_wallet.counts + assert_nothing_lost(model_wallet.file, model_wallet.history)
    assert counts["restarts"] >= size // 100, "the server was restarted too rarely"
    return counts


def _run_state_machine(model_wallet: "ModelWallet", histories: int, steps: int, number: int) -> None:
    class Chosen(HttpStateMachine):
        pass

    Chosen.model_wallet = model_wallet
    chosen = settings(
        max_examples=histories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(seed(number)(Chosen), settings=chosen)


class ModelWallet:
    """A file with agents for many histories, and the server that runs on it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.history = History()
        self.counts: Counter[str] = Counter()
        self._numbers = count()
        self._unused_agents: Iterator[str] = iter(())
        self.add_agents()
        self.start()

    def add_agents(self) -> None:
        """Add agents for the next histories, while no server runs on the file."""

        async def work() -> None:
            store = await SqliteStore.open(self.file, create=True)
            try:
                await populate(store, agents)
            finally:
                await store.close()

        agents = [f"agent{next(self._numbers)}" for _ in range(HISTORIES_PER_FILE + 10)]
        asyncio.run(work())
        self._unused_agents = iter(agents)

    def take_agent(self) -> str:
        """Return an agent that no history has used."""
        self.counts["histories"] += 1
        agent = next(self._unused_agents, None)
        if agent is None:
            # More are needed only while Hypothesis shrinks a failure.
            self.stop(signal.SIGTERM)
            self.add_agents()
            self.start()
            agent = next(self._unused_agents)
        return agent

    def start(self) -> None:
        self.server = Server(self.file)
        desk = read_control_endpoint(self.file)
        assert desk is not None
        self.public_connection, self.control_connection = (
            HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S) for url in (desk.serves, desk.url)
        )
        self.control_headers = {"authorization": f"Bearer {desk.key}"}

    def stop(self, how: signal.Signals) -> None:
        self.public_connection.close()
        self.control_connection.close()
        code = self.server.stop(how)
        log = self.server.log.read_text()
        assert code in (0, -signal.SIGKILL), log
        assert "Traceback" not in log, log


class HttpStateMachine(WalletStateMachine):
    """The state machine of histories, on the running server."""

    model_wallet: ModelWallet

    def set_up_wallet(self) -> None:
        self.agent = self.model_wallet.take_agent()
        self.now_ms = clock_ms()

    def send_call(self, account_index: int, protocol: str, request: HttpRequest) -> HttpResponse:
        wire = self.protocols[protocol]
        line, sent_at = self.model_wallet.public_connection, monotonic_s()
        line.request(request.method, request.target, request.body or None)
        response = line.getresponse()
        body = response.read()
        (operation,) = {route.operation for route in wire.routes if route.path == request.path}
        call = wire.parse(request, operation)
        assert isinstance(call, Call), call
        player, currency = ACCOUNTS[account_index]
        asked = PlannedCall(
            SeededPlayer(player, call.token, currency, self.agent), protocol, call.operation, call.command
        )
        assert response.status == 200, body
        self.model_wallet.history.append(asked.to_attempt(sent_at, response.status, body))
        return HttpResponse(body)

    def execute_request(self, request: OperationRequest) -> Reply | None:
        sent_at = monotonic_s()
        content = Envelope(actor="a test", request=request).model_dump_json()
        self.model_wallet.control_connection.request("POST", "/control", content, self.model_wallet.control_headers)
        response = self.model_wallet.control_connection.getresponse()
        body = response.read()
        assert response.status in (200, 409), body
        reply: Reply | None = json.loads(body)["done"] if response.status == 200 else None
        if isinstance(request, TransferRequest):
            self.model_wallet.history.append(_transfer_attempt(request, reply, sent_at))
        return reply

    def maybe_restart(self, roll: int, is_graceful: bool) -> None:
        if roll == RESTART_ROLL:
            self.model_wallet.counts["restarts"] += 1
            self.model_wallet.stop(signal.SIGTERM if is_graceful else signal.SIGKILL)
            self.model_wallet.start()
            assert self.model_wallet.server.http.get("/readyz").status_code == 200

    def check_and_stop(self) -> None:
        """Check the file after all histories, and stop the server."""


def _transfer_attempt(request: TransferRequest, reply: Reply | None, sent_at: float) -> Attempt:
    said = Attempt(
        sent_at, monotonic_s(), "operator", request.operation, request.agent, request.player_id, request.currency or ""
    )
    said = said._replace(id=request.reference, is_bonus=request.bonus, code=1)
    if reply:
        said = said._replace(code=0, balance=reply["cash"], balance2=reply["bonus"])
    change = -request.amount if request.operation == "withdraw" else request.amount
    return said._replace(payout=change) if change > 0 else said._replace(stake=-change)
