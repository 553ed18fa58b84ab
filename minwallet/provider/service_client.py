"""Ask a provider's service over HTTP. Every way in which that can fail is one line that an operator can act on."""

from collections.abc import Callable
from time import monotonic
from typing import Self, TypeVar

import httpx2

from minwallet.operations.errors import OperationError
from minwallet.protocols.operator_service import Game, ReportPage, ReportUnit, ServiceError
from minwallet.protocols.registry import OPERATOR_SERVICES, load_operator_service
from minwallet.protocols.wire import HttpRequest
from minwallet.storage.models import Agent

T = TypeVar("T")

SERVICE_PROTOCOL = next(iter(OPERATOR_SERVICES))
"""The one protocol whose providers offer a service."""

MAX_RESPONSE_BYTES = 32 * 1024 * 1024


class ProviderFailed(Exception):
    """No answer came, or none that makes sense."""


class ServiceClient:
    """One agent's provider, to be asked within a `with`. Every method declines where the provider does, and may raise
    ProviderFailed.
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
        """The game list as it is now."""
        return self._request(self._protocol.build_games_request(self._host_id), self._protocol.parse_games)

    def fetch_report_page(self, key: str) -> ReportPage:
        """The page of the report that follows this key."""
        exchange = self._protocol.build_report_request(self._host_id, key)
        return self._request(exchange, lambda body: self._protocol.parse_report(body, self._unit))

    def _request(self, exchange: HttpRequest, read: Callable[[bytes], T | ServiceError]) -> T:
        try:
            status, body = self._fetch(exchange)
        except httpx2.TimeoutException as error:
            raise ProviderFailed(f"{self._url} did not answer in time; try again later, or with --timeout") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            reason = str(error) or type(error).__name__
            raise ProviderFailed(f"cannot reach {self._url}: {reason}; is the service address right?") from error
        try:
            found = read(body)
        except ValueError as error:
            raise self._invalid_answer(status, str(error)) from error
        if isinstance(found, ServiceError):
            message = found.message or "no, without a reason"
            hint = f"see: minwallet agent show {self._agent}"
            raise OperationError(f"the provider says: {message} (code {found.code})", hint=hint)
        if status != 200:
            raise self._invalid_answer(status, "")
        return found

    def _invalid_answer(self, status: int, problem: str) -> ProviderFailed:
        reason = problem if status == 200 else f"HTTP {status} instead of an answer"
        return ProviderFailed(f"{self._url} cannot be understood: {reason}; nothing was kept of it")

    def _fetch(self, exchange: HttpRequest) -> tuple[int, bytes]:
        body, deadline = bytearray(), monotonic() + self._timeout_s
        with self._http.stream(exchange.method, self._url + exchange.target) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAX_RESPONSE_BYTES:
                    raise httpx2.ReadError(f"the answer is longer than {MAX_RESPONSE_BYTES} bytes")
                if monotonic() > deadline:
                    raise httpx2.ReadTimeout("the answer takes its time")
        return response.status_code, bytes(body)


def require_setting(agent: Agent, setting: str, value: str | None) -> str:
    """The setting's value; declines where it was never set."""
    if not value:
        option = f"--{setting.replace(' ', '-')}"
        hint = f"set it with: minwallet agent set {agent.name} {option} …"
        raise OperationError(f"agent {agent.name} has no {setting}", hint=hint)
    return value
