"""The stable interface of what a provider offers its operators: the game list and the report of tickets."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.wire import HttpRequest


class Game(NamedTuple):
    """A game of the provider's list. `titles` by language."""

    code: str
    titles: Mapping[str, str]
    url: str


class ReportPage(NamedTuple):
    """Rows of the report in the order in which they came to be, and the key from which to ask on."""

    rows: Sequence[ReportRow]
    key: str


class ServiceError(NamedTuple):
    """The provider understood and says no, with its code."""

    code: int
    message: str


class ReportUnit(StrEnum):
    """What an amount of 1 in a report is."""

    CENTS = "cents"
    UNITS = "units"


class OperatorServiceProtocol(Protocol):
    """What a provider offers its operators, both halves: ask and read for the operator, show for the provider.

    The readers raise ValueError, in words, for what makes no sense.
    """

    routes: Mapping[str, str]
    first_key: str
    """The key that asks for the beginning of the report."""

    def build_games_request(self, host_id: str) -> HttpRequest: ...

    def parse_games(self, body: bytes) -> list[Game] | ServiceError: ...

    def build_report_request(self, host_id: str, key: str) -> HttpRequest:
        """`key` is "" at first, later what the last page said."""

    def parse_report(self, body: bytes, unit: ReportUnit) -> ReportPage | ServiceError: ...

    def render_games(self, games: Sequence[Game]) -> bytes: ...

    def render_report(self, page: ReportPage) -> bytes: ...

    def render_error(self, error: ServiceError) -> bytes: ...
