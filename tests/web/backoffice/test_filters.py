"""Filters of the ledger in a URL."""

from urllib.parse import parse_qsl

import pytest

from minwallet.storage.queries import Filter
from minwallet.web.backoffice.filters import parse_filter, parse_number


def test_every_filter_field_is_parsed() -> None:
    """The names are those of the form; spaces around a value are ignored."""
    query = {
        "agent": "a",
        "player": " bob ",
        "currency": "USD",
        "protocol": "vela",
        "kind": "bet",
        "state": "refused",
        "game": "1012",
        "round": "7",
        "id": "8",
        "from": "2026-11-21T10:00",
        "to": "2026-11-21T12:00:00.500",
        "before": "9",
        "unheard": "of",
    }
    asked = parse_filter(query)
    assert asked.ledger_filter == Filter(
        "a", "bob", "USD", "vela", "bet", "refused", "1012", "7", "8", 1795255200000, 1795262400500
    )
    assert asked.errors == {}
    assert parse_filter(dict(parse_qsl(asked.query))) == asked


def test_an_empty_query_matches_everything() -> None:
    """Empty fields are ignored."""
    assert parse_filter({"player": "", "from": " "}) == (Filter(), {}, {})


def test_a_time_may_name_its_zone_or_only_a_day() -> None:
    """The filter shows it in UTC, in the format of the form."""
    asked = parse_filter({"from": "2026-11-21T10:00+02:00", "to": "2026-11-22"})
    assert asked.values == {"from": "2026-11-21T08:00:00", "to": "2026-11-22T00:00:00"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", "yesterday"),
        ("to", "0001-01-01T00:00+14:00"),
        ("kind", "bets"),
        ("state", "?"),
        ("protocol", "no protocol"),
        ("id", "9" * 201),
    ],
)
def test_invalid_values_are_reported(field: str, value: str) -> None:
    """Nothing is queried then, and the entered values stay."""
    asked = parse_filter({field: value, "player": "ann"})
    assert asked.ledger_filter is None
    assert asked.values == {field: value, "player": "ann"}
    assert set(asked.errors) == {field}


def test_a_player_filter_implies_the_only_agent() -> None:
    """The query then reads the player's own entries, and not the whole ledger."""
    assert parse_filter({"player": "ann"}, ["default"]).ledger_filter == Filter("default", "ann")
    assert parse_filter({"player": "ann"}, ["default", "two"]).ledger_filter == Filter(None, "ann")


def test_only_plain_decimal_numbers_are_parsed() -> None:
    """Other notations that Python accepts are rejected."""
    assert [parse_number(text) for text in ("7", "0")] == [7, 0]
    for text in (None, "", "-1", "1_0", "\N{FULLWIDTH DIGIT ONE}", "7.0", str(2**63), "9" * 30):
        assert parse_number(text) is None
    assert parse_number(str(2**63 - 1)) == 2**63 - 1
