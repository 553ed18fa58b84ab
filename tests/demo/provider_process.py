"""`minwallet demo-provider` as a process, on a free port."""

import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import ReportPage, ReportUnit
from minwallet.protocols.registry import load_operator_service
from tests.forkserver import start_minwallet
from tests.support import NO_AUTHORITIES, TIMEOUT_S, clean_environment


class ProviderProcess:
    """A running provider that calls the wallet at this address."""

    def __init__(self, wallet_url: str, log: Path, *options: object, **settings: str) -> None:
        self.log = log
        command = ["demo-provider", "--wallet", wallet_url, "--port", 0, *options]
        with log.open("w") as stderr:
            self.process = start_minwallet(command, stderr=stderr, env=clean_environment(**settings))
        self.url = self._wait_for_match(r" at (http://127\S+)")[1]
        self.http = httpx2.Client(base_url=self.url, timeout=TIMEOUT_S * 4, trust_env=False, verify=NO_AUTHORITIES)

    def _wait_for_match(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            if found := re.search(pattern, self.log.read_text()):
                return found
            time.sleep(0.02)
        raise AssertionError(f"the provider did not say {pattern!r}: {self.log.read_text()}")

    def wait_for_output(self, words: str) -> None:
        self._wait_for_match(re.escape(words))

    def play_rounds(self, **fields: object) -> Any:  # noqa: ANN401 the summary's JSON
        response = self.http.post("/demo/play", json=fields)
        assert response.status_code == 200, response.text
        return response.json()

    def read_rounds(self) -> Any:  # noqa: ANN401 the provider's account of its rounds
        return self.http.get("/demo/rounds").json()

    def read_net(self, player_id: str) -> int:
        """Return the net change of the player's balance according to the provider, in cents."""
        return sum(each["net"] for each in self.read_rounds()["net"] if each["player_id"] == player_id)

    def wait_until(self, condition: Callable[[Any], bool]) -> None:
        """Wait until the condition holds for the provider's list of rounds."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition(self.read_rounds()):
            assert time.monotonic() < deadline, "it does not come to pass"
            time.sleep(0.05)

    def read_report(self) -> list[ReportRow]:
        """Return all rows of the report, read page by page."""
        service = load_operator_service("vela")
        rows: list[ReportRow] = []
        key = ""
        while True:
            exchange = service.build_report_request("demo", key)
            shown = self.http.get(f"{exchange.path}?{exchange.query.decode()}")
            page = service.parse_report(shown.content, ReportUnit.CENTS)
            assert isinstance(page, ReportPage)
            if not page.rows:
                return rows
            rows += page.rows
            key = page.key

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop the provider, and return its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.http.close()
        return self.process.wait(TIMEOUT_S)


@contextmanager
def run_provider(wallet_url: str, folder: Path, *options: object, **settings: str) -> Iterator[ProviderProcess]:
    """Run a provider until the end of the block."""
    provider = ProviderProcess(wallet_url, folder / "provider.log", *options, **settings)
    try:
        yield provider
    finally:
        provider.stop()
