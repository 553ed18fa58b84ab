"""The HTTP client of a provider's operator service. Every failure is one line that an operator can act on."""

from collections.abc import Callable
from time import monotonic
from typing import Self, TypeVar

import httpx2

from minwallet.operations.errors import OperationError, Subject
from minwallet.protocols.operator_service import Game, ReportPage, ReportUnit, ServiceError
from minwallet.protocols.registry import OPERATOR_SERVICES, load_operator_service
from minwallet.protocols.wire import HttpRequest
from minwallet.storage.models import Agent

T = TypeVar("T")

SERVICE_PROTOCOL = next(iter(OPERATOR_SERVICES))
"""The only protocol with an operator service (game list and report)."""

MAX_RESPONSE_BYTES = 32 * 1024 * 1024


class ProviderFailed(Exception):
    """The provider did not answer, or not in a form that the protocol defines."""


class ProviderTimedOut(ProviderFailed):
    """The provider did not answer in time."""


class ServiceClient:
    """A client for one agent's provider, used in a `with` block.

    Every method may raise OperationError if the provider refuses the request, and ProviderFailed.
    """

    def __init__(self, agent: Agent, timeout_s: float) -> None:
        self._agent = agent.name
        self._url = require_setting(agent, "service url", agent.service_url).rstrip("/")
        self._host_id = require_setting(agent, "host id", agent.host_id)
        self._unit = ReportUnit(agent.report_unit)
        self._protocol = load_operator_service(SERVICE_PROTOCOL)
        self._timeout_s = timeout_s
        self._http = httpx2.Client(timeout=timeout_s, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @property
    def first_key(self) -> str:
        return self._protocol.first_key

    def fetch_games(self) -> list[Game]:
        """Fetch the current game list."""
        return self._request(self._protocol.build_games_request(self._host_id), self._protocol.parse_games)

    def fetch_report_page(self, key: str) -> ReportPage:
        """Fetch the page of the report after this key."""
        exchange = self._protocol.build_report_request(self._host_id, key)
        return self._request(exchange, lambda body: self._protocol.parse_report(body, self._unit))

    def _request(self, exchange: HttpRequest, read: Callable[[bytes], T | ServiceError]) -> T:
        try:
            status, body = self._fetch(exchange)
        except httpx2.TimeoutException as error:
            raise ProviderTimedOut(
                f"{self._url} did not answer within {self._timeout_s:g} s; try again later"
            ) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            reason = str(error) or type(error).__name__
            raise ProviderFailed(f"cannot reach {self._url}: {reason}; check the service address") from error
        try:
            found = read(body)
        except ValueError as error:
            raise self._invalid_answer(status, str(error)) from error
        if isinstance(found, ServiceError):
            reason = f"the provider refused the request: {found.message or 'no reason given'} (code {found.code})"
            raise OperationError(reason, subject=Subject.PROVIDER, agent=self._agent)
        if status != 200:
            raise self._invalid_answer(status, "")
        return found

    def _invalid_answer(self, status: int, problem: str) -> ProviderFailed:
        reason = problem if status == 200 else f"HTTP status {status}"
        return ProviderFailed(f"invalid response from {self._url}: {reason}; nothing was stored")

    def _fetch(self, exchange: HttpRequest) -> tuple[int, bytes]:
        body, deadline = bytearray(), monotonic() + self._timeout_s
        with self._http.stream(exchange.method, self._url + exchange.target) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_RESPONSE_BYTES:
                    raise httpx2.ReadError(f"the response is longer than {MAX_RESPONSE_BYTES} bytes")
                # httpx2 limits the time of each read only: a server could send one byte at a time.
                if monotonic() > deadline:
                    raise httpx2.ReadTimeout("the response takes too long")
        return response.status_code, bytes(body)


def require_setting(agent: Agent, setting: str, value: str | None) -> str:
    """Return the setting's value. Raise OperationError if it is not set."""
    if not value:
        reason = f"agent '{agent.name}' has no {setting}"
        raise OperationError(reason, subject=Subject.SETTING, agent=agent.name, setting=setting.replace(" ", "-"))
    return value
