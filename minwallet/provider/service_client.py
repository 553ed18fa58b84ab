"""The client of a provider's operator service. Every failure is one line that an operator can act on.

The requests are made in a process of their own, see `fetch_process`. All methods block, so a server calls them in a
thread.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Self

from minwallet.ledger.reconciliation import ReportRow
from minwallet.operations.errors import OperationError, Subject
from minwallet.protocols.operator_service import Game, ReportPage
from minwallet.protocols.registry import has_part, is_installed, list_protocols, load_operator_service, load_protocol
from minwallet.storage.models import Agent
from minwallet.storage.store import Store

MAX_SKIPPED_LINES = 20


class ProviderFailed(Exception):
    """The provider did not answer, or not in a form that the protocol defines."""


class ProviderTimedOut(ProviderFailed):
    """The provider did not answer in time."""


class SkippedEntries:
    """The entries of a provider's lists that cannot be read: their number, and a line for each of the first ones."""

    def __init__(self) -> None:
        self.count = 0
        self.lines: list[str] = []

    def add(self, lines: Sequence[str]) -> None:
        """Count the entries, and keep the lines as long as there is room."""
        self.count += len(lines)
        self.lines += lines[: MAX_SKIPPED_LINES - len(self.lines)]

    def describe(self, noun: str) -> list[str]:
        """Return one line for each kept entry, and the number of the others, called `noun`."""
        more = self.count - len(self.lines)
        return [f"skipped {line}" for line in self.lines] + ([f"skipped {more} more {noun}"] if more else [])


class ServiceClient:
    """A client for one agent's provider, used in a `with` block.

    `skipped` has the entries of all answers that cannot be read. Every method may raise OperationError if the provider
    refuses the request, and ProviderFailed.
    """

    def __init__(self, agent: Agent, timeout_s: float, protocol: str | None = None) -> None:
        """Start the process. `protocol` is one with an operator service, None for the only one that is installed.

        Raise OperationError if a setting of the agent is missing, and as `choose_service_protocol` does.
        """
        self._agent = agent.name
        self._protocol = protocol or choose_service_protocol()
        self._url = require_setting(agent, "service url", agent.service_url).rstrip("/")
        self._timeout_s = timeout_s
        self._is_stopped = self._is_ready = False
        self.skipped = SkippedEntries()
        host_id = require_setting(agent, "host id", agent.host_id)
        self._process = _start_process()
        service = load_protocol(self._protocol).operator_service
        self._write_line([service, self._url, host_id, agent.report_unit, timeout_s])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        # The pipe may contain a request that the process did not read.
        with suppress(OSError):
            self._process.communicate()

    def stop(self) -> None:
        """End the process. A request that runs in another thread raises ProviderFailed."""
        self._is_stopped = True
        self._process.kill()

    @property
    def first_key(self) -> str:
        return load_operator_service(self._protocol).first_key

    def fetch_games(self) -> list[Game]:
        """Fetch the current game list."""
        items, _, skipped = self._request(None)
        self.skipped.add(skipped)
        return [Game(*each) for each in items]

    def fetch_report_page(self, key: str) -> ReportPage:
        """Fetch the page of the report after this key."""
        items, following, skipped = self._request(key)
        skipped = [f"{line} (page after key {key or self.first_key})" for line in skipped]
        self.skipped.add(skipped)
        return ReportPage([ReportRow(*each) for each in items], following, skipped)

    def _request(self, key: str | None) -> tuple[list[Any], str, list[str]]:
        if not self._is_ready:
            self._read_line()
            self._is_ready = True
        self._write_line(key)
        items: list[Any] = []
        skipped: list[str] = []
        while True:
            match self._read_line():
                case {"items": piece}:
                    items += piece
                case {"skipped": piece}:
                    skipped += piece
                case {"key": following}:
                    return items, following, skipped
                case {"refused": [code, message]}:
                    reason = f"the provider refused the request: {message or 'no reason given'} (code {code})"
                    raise OperationError(reason, subject=Subject.PROVIDER, agent=self._agent)
                case {"unreachable": reason}:
                    raise ProviderFailed(f"cannot reach {self._url}: {reason}; check the service address")
                case {"invalid": reason}:
                    raise ProviderFailed(f"invalid response from {self._url}: {reason}; nothing was stored")
                case _:
                    raise ProviderTimedOut(f"{self._url} did not answer within {self._timeout_s:g} s; try again later")

    def _write_line(self, line: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{json.dumps(line)}\n")
            self._process.stdin.flush()
        except OSError as error:
            raise self._explain_end() from error

    def _read_line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith("\n"):
            raise self._explain_end()
        found: dict[str, Any] = json.loads(line)
        return found

    def _explain_end(self) -> ProviderFailed:
        """Return the error for a process that has ended before its answer."""
        if self._is_stopped:
            return ProviderFailed(f"the request to {self._url} was stopped")
        if self._process.wait() == -signal.SIGALRM:
            return ProviderFailed(f"the response of {self._url} takes too long to read; nothing was stored")
        return ProviderFailed(
            f"the process that fetches from {self._url} ended with code {self._process.returncode}; try again"
        )


async def find_service_protocol(store: Store, agent: Agent, wanted: str | None = None) -> str:
    """Return `wanted`, or if it is None, the protocol of the agent's operator service.

    If several protocols have an operator service, it is the only one in which the agent has entries. Raise
    OperationError if `wanted` has no operator service, and as `choose_service_protocol` does.
    """
    if wanted is None:
        return choose_service_protocol(await store.ledger.list_sources(agent.name))
    if not is_installed(wanted) or not has_part(wanted, "operator_service"):
        raise OperationError(f"protocol '{wanted}' has no game list and no report", subject=Subject.SERVICE)
    return wanted


def choose_service_protocol(used: Collection[str] = ()) -> str:
    """Return the installed protocol with an operator service. If there are several, it is the only one in `used`.

    Raise OperationError if there is none, or if several remain.
    """
    services = [name for name in list_protocols() if has_part(name, "operator_service")]
    chosen = services if len(services) == 1 else [name for name in services if name in used]
    if not services:
        raise OperationError("no installed protocol has a game list and a report", subject=Subject.SERVICE)
    if len(chosen) != 1:
        reason = f"several protocols have a game list and a report: {', '.join(services)}; an agent uses one of them"
        raise OperationError(reason, subject=Subject.SERVICE)
    return chosen[0]


def _start_process() -> "subprocess.Popen[str]":
    """Start `fetch_process` with the same modules as this program. It gets no setting of the wallet."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MINWALLET_")}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "minwallet.provider.fetch_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONIOENCODING": "utf-8"},
    )


def require_setting(agent: Agent, setting: str, value: str | None) -> str:
    """Return the setting's value. Raise OperationError if it is not set."""
    if not value:
        reason = f"agent '{agent.name}' has no {setting}"
        raise OperationError(reason, subject=Subject.SETTING, agent=agent.name, setting=setting.replace(" ", "-"))
    return value
