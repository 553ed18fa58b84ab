"""The limits of a protocol's code: what it raises, and what it may send."""

import asyncio
from typing import cast

import pytest

from minwallet.ledger.commands import (
    Balance,
    Bet,
    Command,
    Deposit,
    EndRound,
    Group,
    Rollback,
    Settle,
    Win,
    WinCategory,
    Withdraw,
)
from minwallet.ledger.entries import Refusal
from minwallet.ledger.money import MAX_CENTS
from minwallet.protocols.wire import MAX_BODY_BYTES, HttpResponse
from minwallet.web.gateway.protocol_guard import (
    ProtocolBug,
    build_headers,
    check_response,
    find_command_fault,
    run_guarded,
)

RETRY_AFTER = (b"retry-after", b"1")

NO_DETAIL = f"detail: must be a JSON object on one line, of up to {MAX_BODY_BYTES} characters"


@pytest.mark.parametrize("bug", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_no_exception_ends_more_than_its_call(bug: BaseException) -> None:
    """One that would end the task or the server becomes an ordinary one."""

    def fail() -> None:
        raise bug

    with pytest.raises(ProtocolBug, match=type(bug).__name__) as raised:
        run_guarded(fail)
    assert raised.value.__cause__ is bug


def test_results_and_ordinary_exceptions_pass() -> None:
    """They are those of the function."""
    assert run_guarded(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        run_guarded(divmod, 7, 0)


@pytest.mark.parametrize(
    "response",
    [
        HttpResponse("text"),  # type: ignore[arg-type]  # the wrong type is the test
        HttpResponse(None),  # type: ignore[arg-type]  # the wrong type is the test
        *(HttpResponse(b"", status) for status in (0, 100, 199, 204, 205, 304, 600, True)),
        HttpResponse(b"", "200"),  # type: ignore[arg-type]  # the wrong type is the test
        *(HttpResponse(b"", 200, media_type) for media_type in ("", "text/xml\r\nx: 1", "text/xml\x00", "t\u00e9xt")),
        *(HttpResponse(b"", headers=[(b"x", value)]) for value in (b"a\r\nb: c", b"a\nb", b"a\x00", b"a\x7f")),
        *(HttpResponse(b"", headers=[(name, b"1")]) for name in (b"", b"X-Upper", b"a b", b"a:", b"a\r\n")),
        *(
            HttpResponse(b"", headers=[(name, b"1")])
            for name in (b"content-length", b"transfer-encoding", b"connection", b"content-type", b"cache-control")
        ),
    ],
    ids=str,
)
def test_a_response_that_would_break_http_is_a_bug(response: HttpResponse) -> None:
    """It could end the response too early, and a client would read the rest as another one."""
    with pytest.raises((ValueError, TypeError)):
        check_response(response)


def test_a_response_may_have_a_status_a_media_type_and_headers() -> None:
    """The wallet adds its own headers."""
    response = HttpResponse(b"<a/>", 409, "text/xml; charset=utf-8", [(b"x-sign", b"a=\t\xe9")])
    assert check_response(response) is response
    assert build_headers(response, ["POST"], RETRY_AFTER) == [
        (b"content-type", b"text/xml; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-sign", b"a=\t\xe9"),
    ]


def test_some_statuses_have_a_header_of_their_own() -> None:
    """405 lists the methods, 429 says when to come again."""
    assert (b"allow", b"GET, POST") in build_headers(HttpResponse(b"{}", 405), ["GET", "POST"], RETRY_AFTER)
    assert RETRY_AFTER in build_headers(HttpResponse(b"{}", 429), ["POST"], RETRY_AFTER)
    assert len(build_headers(HttpResponse(b"{}"), ["POST"], RETRY_AFTER)) == 2


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (Balance(), ""),
        (Bet("1", 0, "1", None, '{"key":"\\n"}'), ""),
        (Bet("\N{GREEK SMALL LETTER ALPHA} 1", MAX_CENTS, "x" * 255), ""),
        (Group((Rollback("1", "2"), EndRound("3", "4"))), ""),
        (Bet("", 1, "1"), "id: must be text of 1 to 255 characters without control characters"),
        (Bet("1\n", 1, "1"), "id: must be text of 1 to 255 characters without control characters"),
        (Bet("1", 1, "\ud800"), "round: must be text of 1 to 255 characters without control characters"),
        (Bet("1", 1, "x" * 256), "round: must be text of 1 to 255 characters without control characters"),
        (Bet("1", -1, "1"), f"stake: must be cents from 0 to {MAX_CENTS}"),
        (Win("1", MAX_CENTS + 1), f"payout: must be cents from 0 to {MAX_CENTS}"),
        (Win("1", cast(int, 1.0)), "payout: must be a whole number of cents"),
        (Win("1", cast(int, "5")), "payout: must be a whole number of cents"),
        (Win("1", cast(int, True)), "payout: must be a whole number of cents"),
        (Win("1", cast(int, None)), "payout: must be a whole number of cents"),
        (Win("1", 1, category=cast(WinCategory, "tip")), "category: must be a WinCategory"),
        (Win("1", 1, None, None, WinCategory.TIP), ""),
        (Win(cast(str, 1), 1), "id: must be text"),
        (Win("1", 1, cast(str, Refusal.CANCELLED)), "round: must be text"),
        (Bet("1", 1, cast(str, None)), "round: must be text"),
        (Rollback("1", "2", cast(int, 0.5)), "amount: must be a whole number of cents"),
        (Rollback("1", "2", -1), f"amount: must be cents from 0 to {MAX_CENTS}"),
        (Rollback("1", "2", 0, True, True, "3", "4"), ""),
        (Rollback("1", "2", clamp=cast(bool, 1)), "clamp: must be true or false"),
        (Rollback("1", "2", round=""), "round: must be text of 1 to 255 characters without control characters"),
        (Bet("1", 1, "1", None, f'{{"key":"{"x" * 300}"}}'), ""),
        (Bet("1", 1, "1", None, ""), NO_DETAIL),
        (Bet("1", 1, "1", None, "key"), NO_DETAIL),
        (Bet("1", 1, "1", None, "[1]"), NO_DETAIL),
        (Bet("1", 1, "1", None, '{"key":\n1}'), NO_DETAIL),
        (Bet("1", 1, "1", None, '{"a":' * 30_000), NO_DETAIL),
        (Settle("1", 1, None, "[" * 65_000), NO_DETAIL),
        (Deposit("1", 1), "a provider cannot send a Deposit"),
        (Group((Bet("1", 1, "1"), Withdraw("2", 1))), "a provider cannot send a Withdraw"),
        (Group((Win("1", 1), Win("2", -1))), f"payout: must be cents from 0 to {MAX_CENTS}"),
        (Group(()), "the call has 0 commands: expected 1 to 100"),
        (Group((Win("1", 1),) * 101), "the call has 101 commands: expected 1 to 100"),
    ],
)
def test_a_command_that_the_ledger_cannot_store_is_refused(command: Command, fault: str) -> None:
    """A careless protocol may pass on what a provider sends: a float, a negative amount, an endless id."""
    assert find_command_fault(command) == fault
