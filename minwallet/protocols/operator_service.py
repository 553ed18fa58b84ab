"""The stable interface of a provider's service for operators: the game list and the report of tickets."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.wire import HttpRequest


class Game(NamedTuple):
    """A game of the provider's list. `titles` maps a language to the title; `url` is the launch address's base."""

    code: str
    titles: Mapping[str, str]
    url: str


class FetchedGames(NamedTuple):
    """The games of a reply. `skipped` has a line for each entry that is not a game: its position, and why."""

    games: Sequence[Game]
    skipped: Sequence[str] = ()


class ReportPage(NamedTuple):
    """One page of the report: rows, oldest first, and the key of the next request; "" without a new key.

    `skipped` has a line for each row that cannot be read: its position and ticket, and why.
    """

    rows: Sequence[ReportRow]
    key: str
    skipped: Sequence[str] = ()


class ServiceError(NamedTuple):
    """A refusal by the provider, with its code."""

    code: int
    message: str


class OperatorRequest(NamedTuple):
    """A request of an operator as the provider reads it: who asks, and the key of the report's page, "" at first."""

    host_id: str
    key: str = ""


class ReportUnit(StrEnum):
    """The unit of a report's amounts: cents, or whole units of the currency."""

    CENTS = "cents"
    UNITS = "units"


class OperatorServiceProtocol(Protocol):
    """Both halves of a provider's service: build and parse for the operator, the rest for the demo provider.

    `parse_games` and `parse_report` raise ValueError if the reply as a whole is malformed. They skip invalid
    entries of a list.
    """

    routes: Mapping[str, str]
    """Maps each path to "games" or "report"."""
    first_key: str
    """The key that requests the beginning of the report."""
    unknown_operator: ServiceError
    """The demo provider's refusal of an operator that it does not know."""

    def build_games_request(self, host_id: str) -> HttpRequest:
        """Return the operator's request for the game list; `host_id` is the provider's id of the operator."""

    def parse_games(self, body: bytes) -> FetchedGames | ServiceError:
        """Return the games of a reply, or the provider's refusal."""

    def build_report_request(self, host_id: str, key: str) -> HttpRequest:
        """Return the operator's request for a page of the report: `key` is "" at first, then that of the last page."""

    def parse_report(self, body: bytes, unit: ReportUnit) -> ReportPage | ServiceError:
        """Return the page of a reply with its amounts in cents, or the refusal; `unit` is that of the reply."""

    def parse_request(self, request: HttpRequest) -> OperatorRequest | ServiceError:
        """Return the content of an operator's request, or the refusal of one that is malformed.

        The demo provider's keys are decimal numbers.
        """

    def render_games(self, games: Sequence[Game]) -> bytes:
        """Return the reply that lists the games."""

    def render_report(self, page: ReportPage) -> bytes:
        """Return the reply with this page, its amounts in cents."""

    def render_error(self, error: ServiceError) -> bytes:
        """Return the reply that refuses a request."""
