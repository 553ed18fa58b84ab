"""`minwallet session`."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.console import assert_complaint, assert_usage, cells
from tests.support import Here


def test_a_session_is_opened_with_a_token(wallet: Here) -> None:
    """The token is 40 symbols nobody can guess, and good for a day."""
    player = wallet.player()
    opened = wallet("session", "open", player)
    assert list(opened) == ["token", "player_id", "currency", "expires_at"]
    assert re.fullmatch(r"[A-Za-z0-9_]{40}", opened["token"])
    assert (opened["player_id"], opened["currency"]) == (player, "USD")
    ends_in = datetime.fromisoformat(opened["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ends_in <= timedelta(hours=24)
    assert wallet.session(player) != opened["token"]


@pytest.mark.parametrize(
    ("ttl", "length"),
    [
        ("1s", timedelta(seconds=1)),
        ("30m", timedelta(minutes=30)),
        ("24h", timedelta(hours=24)),
        ("7d", timedelta(days=7)),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_a_session_lasts_as_long_as_it_is_told(here: Here, ttl: str, length: timedelta) -> None:
    """Seconds, minutes, hours or days."""
    opened = here("session", "open", here.player(), "--ttl", ttl)
    (row,) = here("session", "list", opened["player_id"])["sessions"]
    assert row["expires_at"] == opened["expires_at"]
    assert datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(row["created_at"]) == length


@pytest.mark.parametrize("ttl", ["", "0s", "24", "h", "1.5h", "-1h", "1w", "24H", "99999999999d", "36501d", "\uff11h"])
def test_a_length_of_time_that_will_not_do_is_refused(here: Here, ttl: str) -> None:
    """With examples of what will do, or the shortest and the longest."""
    refused = here.run("session", "open", here.player(), f"--ttl={ttl}")
    assert_complaint(refused, 2, "24h" if not re.fullmatch(r"(0s|36501d)", ttl) else "between 1s and 100 years")


def test_the_token_alone_goes_to_stdout(wallet: Here) -> None:
    """So `TOKEN=$(minwallet session open …)` works; how long it lasts is said on stderr."""
    player = wallet.player()
    opened = wallet.run("session", "open", player, "--ttl", "30m")
    assert opened.code == 0
    assert re.fullmatch(r"[A-Za-z0-9_]{40}\n", opened.out)
    assert player in opened.err
    assert "USD" in opened.err


def test_a_session_is_in_one_currency(wallet: Here) -> None:
    """Which has to be named where the player has several."""
    player = wallet.player()
    wallet("player", "add", player, "--currency", "EUR")
    assert_complaint(wallet.run("session", "open", player), 1, "EUR, USD", "--currency")
    assert wallet("session", "open", player, "--currency", "EUR")["currency"] == "EUR"
    assert_complaint(wallet.run("session", "open", player, "--currency", "GBP"), 1, "GBP")
    assert [row["currency"] for row in wallet("session", "list", player)["sessions"]] == ["EUR"]


def test_sessions_are_listed_with_shortened_tokens(wallet: Here) -> None:
    """The newest first, of this player only; a whole token is shown only when it is opened."""
    player = wallet.player()
    wallet.session(wallet.player())
    first, second = wallet.session(player, "--ttl", "1h"), wallet.session(player)
    listed = wallet.run("session", "list", player, "--json")
    assert list(listed.json) == ["sessions"]
    for row, token in zip(listed.json["sessions"], (second, first), strict=True):
        assert sorted(row) == ["created_at", "currency", "expires_at", "session", "status", "token"]
        assert token.startswith(row["token"].rstrip("…"))
        assert (row["currency"], row["status"]) == ("USD", "live")
        assert token not in listed.out
    for header, *rows in [map(cells, wallet.run("session", "list", player).out.splitlines())]:
        assert header == ["token", "currency", "status", "created", "expires"]
        assert [row[:3] for row in rows] == [[f"{token[:6]}…", "USD", "live"] for token in (second, first)]


def test_a_player_without_sessions_says_how_to_open_one(wallet: Here) -> None:
    """An empty list is empty JSON for scripts and a hint for people."""
    player = wallet.player()
    assert wallet("session", "list", player) == {"sessions": []}
    assert f"minwallet session open {player}" in wallet.run("session", "list", player).out


def test_a_session_is_revoked_by_its_token(wallet: Here) -> None:
    """Others stay; revoking it again changes nothing."""
    player = wallet.player()
    first, second = wallet.session(player), wallet.session(player)
    assert wallet("session", "revoke", first) == {"revoked": True}
    statuses = [row["status"] for row in wallet("session", "list", player)["sessions"]]
    assert statuses == ["live", "revoked"]
    assert wallet("session", "revoke", first) == {"revoked": True}
    assert "revoked" in wallet.run("session", "revoke", second).out


def test_a_session_ends_by_itself(here: Here) -> None:
    """The list says that it has expired."""
    player = here.player()
    here.session(player, "--ttl", "1s")
    while (found := here("session", "list", player)["sessions"][0])["status"] == "live":
        assert datetime.now(UTC) < datetime.fromisoformat(found["expires_at"]) + timedelta(seconds=5)
    assert found["status"] == "expired"
    assert datetime.now(UTC) >= datetime.fromisoformat(found["expires_at"])


def test_an_unknown_player_or_token_is_refused(wallet: Here) -> None:
    """A shortened token too: the whole one is needed."""
    token = wallet.session(wallet.player())
    assert_complaint(wallet.run("session", "open", "nobody", "--json"), 1, "nobody", "player list")
    assert_complaint(wallet.run("session", "list", "nobody", "--json"), 1, "nobody", "player list")
    assert_complaint(wallet.run("session", "revoke", token[:6], "--json"), 1, "session")
    assert_complaint(wallet.run("session", "revoke", f"{token[:6]}…"), 2, "token")
    assert_usage(wallet.run("session", "revoke"), "TOKEN")
