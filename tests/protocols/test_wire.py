"""What the interface gives to every protocol: headers, targets, and what a protocol does that implements the least."""

from collections.abc import Callable

import pytest

from minwallet.ledger.commands import Balance, Bet, Group
from minwallet.ledger.outcomes import GroupApplied, Outcome, Unauthenticated
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import (
    REDACTED,
    AccountHolder,
    Call,
    HttpRequest,
    HttpResponse,
    Launch,
    Malformed,
    WireProtocol,
    WireRoute,
)
from tests.ledger.builders import NOW_MS
from tests.protocols.golden_pairs import BUILT_IN_PROTOCOLS
from tests.protocols.sample_outcomes import APPLIED, HOLDER

TOKEN = "s3cret"


class Least(WireProtocol):
    """A protocol with only what it must have."""

    name = "least"
    routes = (WireRoute("POST", "/least"),)
    operations = {"bet": Bet}  # noqa: RUF012 never changed

    def parse(self, request: HttpRequest, operation: str) -> Call | Malformed:
        return Call(operation, request.body.decode(), Balance())

    def render(
        self, call: Call, outcome: Outcome | Unauthenticated, holder: AccountHolder | None, now_ms: int
    ) -> HttpResponse:
        return HttpResponse(repr((call, outcome, holder, now_ms)).encode())

    def render_error(self, malformed: Malformed, now_ms: int) -> HttpResponse:
        return HttpResponse(repr((malformed, now_ms)).encode())


class Escaping(Least):
    """A protocol that can also build a request, in which the token stands alone."""

    def build_request(self, call: Call, now_ms: int, wallet_token: str | None = None) -> HttpRequest:
        return HttpRequest("POST", "/least", body=call.token.encode())


def test_a_header_is_found_in_any_case_if_it_is_given_once() -> None:
    """Of two values with one name, the intended one is unknown."""
    request = HttpRequest("POST", "/p").add_headers(X_Sign="abc", x_time="1")
    assert request.headers == [(b"x-sign", b"abc"), (b"x-time", b"1")]
    assert (request.get_header("X-Sign"), request.get_header("x-time")) == ("abc", "1")
    assert request.get_header("x-other") is None
    assert request.add_headers(x_sign="abc").get_header("x-sign") is None


@pytest.mark.parametrize(
    ("request_", "target", "text"),
    [
        (HttpRequest("GET", "/p", b"a=1"), "/p?a=1", "GET /p?a=1"),
        (HttpRequest("POST", "/p", body=b"{}"), "/p", "POST /p {}"),
        (HttpRequest("POST", "/p", b"a=1", b"\xff"), "/p?a=1", "POST /p?a=1 \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_a_request_is_written_on_one_line(request_: HttpRequest, target: str, text: str) -> None:
    """The line has the method, the path with its query, and the body."""
    assert (request_.target, str(request_)) == (target, text)


@pytest.mark.parametrize(
    "use",
    [
        lambda protocol: protocol.build_request(Call("bet", "", Balance()), NOW_MS),
        lambda protocol: protocol.parse_response(HttpResponse(b"")),
        lambda protocol: protocol.rebuild(APPLIED.entry, ""),
        lambda protocol: protocol.build_launch_url(Launch("https://g.example", "g", "en")),
        lambda protocol: protocol.parse_launch_url("https://g.example"),
    ],
    ids=["build_request", "parse_response", "rebuild", "build_launch_url", "parse_launch_url"],
)
def test_a_method_that_serves_callers_may_be_missing(use: Callable[[WireProtocol], object]) -> None:
    """The commands that need it can tell this from a bug."""
    with pytest.raises(NotImplementedError):
        use(Least())


def test_an_http_status_is_the_code_of_its_error_by_default() -> None:
    """A protocol with codes of its own maps the status to one of them."""
    assert Least().error_code_for_status(503) == 503


@pytest.mark.parametrize(
    ("body", "query", "redacted"),
    [
        (b"token=s3cret&again=s3cret", b"", f"token={REDACTED}&again={REDACTED}"),
        (b"", b"token=s3cret", f"token={REDACTED}"),
        (b"{}", b"token=s3cret", REDACTED),
        (b"token=%733cret", b"", REDACTED),
        (b"s3cret %733cret", b"", REDACTED),
    ],
    ids=["body", "query", "only the body is shown", "escaped", "in the clear and escaped"],
)
def test_the_token_is_hidden_by_default(body: bytes, query: bytes, redacted: str) -> None:
    """If it has another spelling, the request is built again without it."""
    call = Call("bet", TOKEN, Balance())
    assert Escaping().redact(call, HttpRequest("POST", "/least", query, body), NOW_MS) == redacted


def test_a_request_without_a_token_is_shown_as_it_is() -> None:
    """A signed call may name its player only."""
    request = HttpRequest("POST", "/least", body=b"player=ann\xff")
    assert Least().redact(Call("bet", "", Balance()), request, NOW_MS) == "player=ann\\xff"


@pytest.mark.parametrize("protocol", BUILT_IN_PROTOCOLS)
def test_a_protocol_without_groups_does_not_render_one(protocol: str) -> None:
    """Its `parse` never makes a group, so its outcome is a bug."""
    call, outcome = Call("bet", TOKEN, Group((Bet("3", 1100, "3"),))), GroupApplied((APPLIED,), 0, 100)
    with pytest.raises(ValueError, match="has no call with several commands"):
        load_protocol(protocol).render(call, outcome, HOLDER, NOW_MS)
