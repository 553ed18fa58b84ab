"""What an address asks to see of the ledger."""

from urllib.parse import parse_qsl

import pytest

from minwallet.storage.queries import Filter
from minwallet.web.backoffice.filters import read_filter, read_number


def test_every_field_of_the_filter_can_be_asked_for() -> None:
    """Under the names that the form has; spaces around a value are nobody's."""
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
    asked = read_filter(query)
    assert asked.wanted == Filter(
        "a", "bob", "USD", "vela", "bet", "refused", "1012", "7", "8", 1795255200000, 1795262400500
    )
    assert asked.wrong == {}
    assert read_filter(dict(parse_qsl(asked.query))) == asked


def test_nothing_asked_is_everything() -> None:
    """Empty fields say nothing."""
    assert read_filter({"player": "", "from": " "}) == (Filter(), {}, {})


def test_a_time_may_name_its_zone_or_only_a_day() -> None:
    """And is then told in UTC, as the form has it."""
    asked = read_filter({"from": "2026-11-21T10:00+02:00", "to": "2026-11-22"})
    assert asked.typed == {"from": "2026-11-21T08:00:00", "to": "2026-11-22T00:00:00"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("from", "yesterday"),
        ("to", "0001-01-01T00:00+14:00"),
        ("kind", "bets"),
        ("state", "?"),
        ("protocol", "http"),
        ("id", "9" * 201),
    ],
)
def test_nonsense_is_named(field: str, value: str) -> None:
    """Nothing is looked for then, and nothing that was typed is lost."""
    asked = read_filter({field: value, "player": "ann"})
    assert asked.wanted is None
    assert asked.typed == {field: value, "player": "ann"}
    assert set(asked.wrong) == {field}


def test_a_player_is_of_the_only_agent() -> None:
    """Then the player's own chain of entries is read, and not the whole ledger."""
    assert read_filter({"player": "ann"}, ["default"]).wanted == Filter("default", "ann")
    assert read_filter({"player": "ann"}, ["default", "two"]).wanted == Filter(None, "ann")


def test_numbers_of_an_address_are_plain() -> None:
    """Anything else is none, however Python would read it."""
    assert [read_number(text) for text in ("7", "0")] == [7, 0]
    for text in (None, "", "-1", "1_0", "\N{FULLWIDTH DIGIT ONE}", "7.0", str(2**63), "9" * 30):
        assert read_number(text) is None
    assert read_number(str(2**63 - 1)) == 2**63 - 1
