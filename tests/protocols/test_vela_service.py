"""The game list and the report of vela, on both sides, starting with the examples of the specification."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minwallet.ledger.money import MAX_CENTS, MAX_ID
from minwallet.ledger.reconciliation import ReportRow
from minwallet.protocols.operator_service import (
    FetchedGames,
    Game,
    OperatorRequest,
    ReportPage,
    ReportUnit,
    ServiceError,
)
from minwallet.protocols.registry import load_operator_service
from minwallet.protocols.wire import HttpRequest
from tests.support import ROOT

SERVICE = load_operator_service("vela")
GOLDEN = {
    each["name"]: each for each in json.loads((ROOT / "sample_data/wire/vela.json").read_text("utf-8"))["provider"]
}
BLUE_OCEAN = Game("fish", {"en": "Blue Ocean", "cn": "蓝海龙王"}, "http://shoot-01.velachip.com")
LOST_BET = ReportRow("355005", "11756", "zodiac2", "demo04", 200, 0, status="done", reported_at="2017-03-29 14:40:32")

names = st.text(st.characters(codec="utf-8", categories=["L", "N", "P"]), min_size=1, max_size=20)
cents = st.integers(0, MAX_CENTS)
ids = st.integers(0, MAX_ID).map(str)


def load_reply(name: str) -> bytes:
    return json.dumps(GOLDEN[name]["reply"]).encode()


def change_report(**changes: object) -> bytes:
    """Return the specification's report with changed fields in its row; a field that is None is left out."""
    document = json.loads(load_reply("user report"))
    row = document["data"]["report"][0] | changes
    document["data"]["report"] = [{name: value for name, value in row.items() if value is not None}]
    return json.dumps(document).encode()


@pytest.mark.parametrize("name", GOLDEN)
def test_a_request_equals_the_specifications_example(name: str) -> None:
    """Path and query are equal to the letter; the first key is 0."""
    request = GOLDEN[name]["request"]
    host_id = "nobody" if "nobody" in name else "{host_id}"
    request_ = SERVICE.build_games_request(host_id) if "list" in name else SERVICE.build_report_request(host_id, "")
    assert (request_.method, request_.path) == (request["method"], request["path"])
    assert request_.query.decode().replace("%7B", "{").replace("%7D", "}") == request["query"]
    assert request_.path in SERVICE.routes


def test_the_specifications_replies_are_parsed() -> None:
    """The examples are a game list, a report, and the errors of an unknown host."""
    assert SERVICE.parse_games(load_reply("game list")) == FetchedGames([BLUE_OCEAN], [])
    assert SERVICE.parse_report(load_reply("user report"), ReportUnit.CENTS) == ReportPage([LOST_BET], "355005", [])
    nobody = ServiceError(2, "Invalid Host ID")
    assert SERVICE.parse_games(load_reply("game list of nobody")) == nobody
    assert SERVICE.parse_report(load_reply("user report of nobody"), ReportUnit.CENTS) == nobody


def test_the_specifications_replies_are_rendered() -> None:
    """A rendered reply equals the example, except for the fields that are not about money."""
    assert json.loads(SERVICE.render_games([BLUE_OCEAN])) == GOLDEN["game list"]["reply"]
    assert (
        json.loads(SERVICE.render_error(ServiceError(2, "Invalid Host ID"))) == GOLDEN["user report of nobody"]["reply"]
    )
    shown, golden = (
        json.loads(SERVICE.render_report(ReportPage([LOST_BET], "355005", []))),
        json.loads(load_reply("user report")),
    )
    (row,), (golden_row,) = shown["data"].pop("report"), golden["data"].pop("report")
    assert shown == golden
    assert row.keys() == golden_row.keys()
    not_about_money = {"game_group", "bet_info", "result_info"}
    assert {name: row[name] for name in row if name not in not_about_money} == {
        name: golden_row[name] for name in golden_row if name not in not_about_money
    }


rows = st.builds(ReportRow, names, ids, names, names, cents, cents, st.just(0), st.just(0), names, names)


@given(st.lists(rows, max_size=5), names, st.data())
def test_a_rendered_report_parses_to_the_same_rows(sent: list[ReportRow], key: str, data: st.DataObject) -> None:
    """No cent of a report is lost or changed on the wire."""
    halves = [(data.draw(st.integers(0, row.stake // 2)), data.draw(st.integers(0, row.stake // 2))) for row in sent]
    called_off = [
        row._replace(cancelled=cancelled, rejected=rejected)
        for row, (cancelled, rejected) in zip(sent, halves, strict=True)
    ]
    page = ReportPage(called_off, key, [])
    assert SERVICE.parse_report(SERVICE.render_report(page), ReportUnit.CENTS) == page


@given(st.lists(st.builds(Game, names, st.dictionaries(names, names), st.just("https://g.example/x")), max_size=5))
def test_a_rendered_game_list_parses_to_the_same_games(games: list[Game]) -> None:
    """Order and titles in all languages stay the same."""
    assert SERVICE.parse_games(SERVICE.render_games(games)) == FetchedGames(games, [])


@given(st.integers(0, MAX_CENTS))
def test_units_are_exact(amount: int) -> None:
    """A decimal with two places is converted to exactly that number of cents, however large."""
    units = f"{amount // 100}.{amount % 100:02}"
    body = change_report(bet_stake="STAKE").decode().replace('"STAKE"', units).encode()
    page = SERVICE.parse_report(body, ReportUnit.UNITS)
    assert isinstance(page, ReportPage)
    assert page.rows[0].stake == amount == Decimal(units) * 100


@pytest.mark.parametrize(
    ("value", "stake"),
    [(200.0, 200), ("200", 200), ("2e2", 200), (0, 0), (MAX_CENTS, MAX_CENTS), (199.99999999999997, 200)],
)
def test_a_number_of_cents_may_look_like_a_double(value: object, stake: int) -> None:
    """The specification calls amounts "double", so a whole number of cents may have any decimal form."""
    page = SERVICE.parse_report(change_report(bet_stake=value), ReportUnit.CENTS)
    assert isinstance(page, ReportPage)
    assert page.rows[0].stake == stake


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"bet_stake": 200.5},
            r"row 1 \(ticket \d+\): invalid bet_stake '200.5': must be an amount in cents, 0 or more",
        ),
        ({"bet_stake": None}, "bet_stake"),
        ({"bet_stake": True}, "bet_stake"),
        ({"bet_stake": -1}, "bet_stake"),
        ({"bet_stake": MAX_CENTS + 1}, "bet_stake"),
        ({"bet_stake": "NaN"}, "bet_stake"),
        ({"bet_stake": "much"}, "invalid bet_stake 'much'"),
        ({"bet_stake": []}, "bet_stake"),
        ({"payout_amount": None}, "payout_amount"),
        ({"payout_amount": "1e999999999"}, "payout_amount"),
        ({"cancel_amount": -5}, "cancel_amount"),
        ({"cancel_amount": 201}, "must not exceed bet_stake"),
        ({"cancel_amount": 150, "reject_amount": 51}, "must not exceed bet_stake"),
        ({"ticket_id": None}, "ticket_id"),
        ({"ticket_id": -1}, "ticket_id"),
        ({"ticket_id": MAX_ID + 1}, "ticket_id"),
        ({"ticket_id": "1x"}, "ticket_id"),
        ({"id": None}, "id must be"),
        ({"id": True}, "id must be"),
        ({"id": ""}, "id must be"),
        ({"id": "x" * 65}, "id must be"),
        ({"username": "a\nb"}, "username"),
        ({"game_code": 1.5}, "game_code"),
    ],
)
def test_an_invalid_row_is_skipped(changes: dict[str, object], words: str) -> None:
    """Its reason names the row and the field: the parser guesses no amount. The other rows are read."""
    document = json.loads(change_report(**changes))
    document["data"]["report"] += json.loads(load_reply("user report"))["data"]["report"]
    page = SERVICE.parse_report(json.dumps(document).encode(), ReportUnit.CENTS)
    assert isinstance(page, ReportPage)
    assert page[:2] == ([LOST_BET], "355005")
    (skipped,) = page.skipped
    assert re.search(words, skipped)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('"bet_stake":1e9999999999999999999', "bet_stake"),
        (f'"bet_stake":{"9" * 5_000}', "bet_stake"),
        ('"bet_stake":1,"bet_stake":2', "row 1 has the field 'bet_stake' twice"),
    ],
)
def test_an_ambiguous_or_huge_value_spoils_its_row_only(text: str, words: str) -> None:
    body = re.sub(rb'"bet_stake": \d+', text.encode(), load_reply("user report"))
    page = SERVICE.parse_report(body, ReportUnit.CENTS)
    assert isinstance(page, ReportPage)
    assert not page.rows
    assert words in page.skipped[0]


def test_a_byte_order_mark_is_ignored() -> None:
    assert SERVICE.parse_games(b"\xef\xbb\xbf" + load_reply("game list")) == FetchedGames([BLUE_OCEAN], [])


def test_optional_fields_may_be_missing() -> None:
    """Cancelled and rejected amounts, status and date are optional; an id may be a number."""
    changes: dict[str, object] = dict.fromkeys(["cancel_amount", "reject_amount", "status", "report_date"])
    nulls = json.loads(change_report())
    nulls["data"]["report"][0] |= {"cancel_amount": None, "reject_amount": None}
    assert SERVICE.parse_report(json.dumps(nulls).encode(), ReportUnit.CENTS) == ReportPage([LOST_BET], "355005", [])
    page = SERVICE.parse_report(change_report(**changes, id=355005, ticket_id=11756), ReportUnit.CENTS)
    assert page == ReportPage([LOST_BET._replace(status="", reported_at="")], "355005", [])


def test_a_report_ends_with_an_empty_page() -> None:
    """The last page has no rows, with or without a key."""
    ends: list[dict[str, Any]] = [{"report": [], "key": "9"}, {"report": []}, {"report": [], "key": None}]
    pages = [
        SERVICE.parse_report(json.dumps({"data": {"status_code": 0, **end}}).encode(), ReportUnit.CENTS) for end in ends
    ]
    assert pages == [ReportPage([], "9", []), ReportPage([], ""), ReportPage([], "")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"{}",
        b'{"data":{}}',
        b'{"data":[]}',
        b'{"data":{"status_code":"0"}}',
        b'{"data":{"status_code":0}}',
        b'{"data":{"status_code":0,"list":{},"report":{}}}',
        b'{"data":{"status_code":0,"list":[1],"report":[1]}}',
        b'{"error":{"message":"x"}}',
        b"\xff",
        b"[" * 100_000,
        b'{"data":NaN}',
        b'{"data":{"status_code":0,"status_code":0}}',
        b'{"\\u0000":1,"\\u0000":2}',
    ],
)
def test_an_invalid_reply_is_a_value_error(body: bytes) -> None:
    """The parser raises ValueError with a message, and never returns an empty list for an invalid reply."""
    with pytest.raises(ValueError, match=r"."):
        SERVICE.parse_games(body)
    with pytest.raises(ValueError, match=r"."):
        SERVICE.parse_report(body, ReportUnit.CENTS)


def test_a_list_has_a_maximum_length() -> None:
    """A longer one is refused as a whole, before its entries are read."""
    for name, parse in (
        ("list", SERVICE.parse_games),
        ("report", lambda body: SERVICE.parse_report(body, ReportUnit.CENTS)),
    ):
        body = json.dumps({"data": {"status_code": 0, name: [None] * 5_001}}).encode()
        with pytest.raises(ValueError, match="has 5001 items: expected up to 5000"):
            parse(body)


def test_a_page_with_rows_requires_a_key() -> None:
    """The next page could not be requested without the key."""
    document = json.loads(load_reply("user report"))
    del document["data"]["key"]
    with pytest.raises(ValueError, match="key"):
        SERVICE.parse_report(json.dumps(document).encode(), ReportUnit.CENTS)


@pytest.mark.parametrize(
    "game",
    [
        "fish",
        {"game_code": "fish", "url": "http://g.example", "title": {"en": 5}},
        {"game_code": "fish", "url": "http://g.example", "title": "Fish"},
        {"game_code": "fish", "title": {}, "url": "javascript:alert(1)"},
        {"game_code": "fish", "title": {}, "url": "http://g.example/\n"},
        {"game_code": "", "title": {}, "url": "http://g.example"},
        {"title": {}, "url": "http://g.example"},
    ],
)
def test_an_invalid_game_is_skipped(game: object) -> None:
    """Its reason names the entry, and the other games are read. A list without any game is refused as a whole."""
    good = {"game_code": "slot", "title": {"en": "Slot"}, "url": "http://g.example"}

    def parse(games: list[object]) -> FetchedGames | ServiceError:
        return SERVICE.parse_games(json.dumps({"data": {"status_code": 0, "list": games}}).encode())

    found = parse([good, game, good])
    assert isinstance(found, FetchedGames)
    assert [each.code for each in found.games] == ["slot", "slot"]
    (skipped,) = found.skipped
    assert skipped.startswith("game 2")
    with pytest.raises(ValueError, match="no entry of the list is a game: game 1"):
        parse([game])


@pytest.mark.parametrize(
    ("title", "titles"),
    [(None, {}), ({"en": None, "de": "Fisch"}, {"de": "Fisch"}), ({"en": "A\u00a0B\u200d"}, {"en": "A\u00a0B\u200d"})],
)
def test_a_title_that_is_null_is_absent(title: object, titles: dict[str, str]) -> None:
    """The title is optional, in all languages and in each. It may have every character but control characters."""
    game = {"game_code": "fish", "title": title, "url": "http://g.example"}
    found = SERVICE.parse_games(json.dumps({"data": {"status_code": 0, "list": [game]}}).encode())
    assert found == FetchedGames([Game("fish", titles, "http://g.example")], [])


def test_an_error_may_come_in_either_envelope() -> None:
    """A code other than 0 is an error in `data` and in `error`, and its message is optional."""
    assert SERVICE.parse_games(b'{"data":{"status_code":2001,"message":"no"}}') == ServiceError(2001, "no")
    assert SERVICE.parse_games(b'{"error":{"status_code":2}}') == ServiceError(2, "")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"host_id=h&key=7", OperatorRequest("h", "7")),
        (b"host_id=h", OperatorRequest("h", "0")),
        (b"host_id=h&key=", OperatorRequest("h", "0")),
        (b"key=7", ServiceError(2001, "Required field cannot be empty")),
        (b"host_id=h&key=seven", ServiceError(2001, "invalid key 'seven': use a page's key or 0")),
    ],
)
def test_a_request_of_an_operator_is_parsed(query: bytes, expected: OperatorRequest | ServiceError) -> None:
    """Without a key it starts at the first page. A host id is required."""
    assert SERVICE.parse_request(HttpRequest("GET", "/api/report", query)) == expected
