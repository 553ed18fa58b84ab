"""`minwallet session`."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.support import InProcessCli


def test_a_session_is_opened_with_a_token(wallet: InProcessCli) -> None:
    """The token has 40 unguessable characters and is valid for a day."""
    player = wallet.add_player()
    opened = wallet("session", "open", player)
    assert list(opened) == ["token", "player_id", "currency", "expires_at"]
    assert re.fullmatch(r"[A-Za-z0-9_]{40}", opened["token"])
    assert (opened["player_id"], opened["currency"]) == (player, "USD")
    ends_in = datetime.fromisoformat(opened["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23) < ends_in <= timedelta(hours=24)
    assert wallet.open_session(player) != opened["token"]


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
def test_a_session_lasts_for_its_ttl(cli: InProcessCli, ttl: str, length: timedelta) -> None:
    """The unit is seconds, minutes, hours or days."""
    opened = cli("session", "open", cli.add_player(), "--ttl", ttl)
    (row,) = cli("session", "list", opened["player_id"])["sessions"]
    assert row["expires_at"] == opened["expires_at"]
    assert datetime.fromisoformat(row["expires_at"]) - datetime.fromisoformat(row["created_at"]) == length


@pytest.mark.parametrize("ttl", ["", "0s", "24", "h", "1.5h", "-1h", "1w", "24H", "99999999999d", "36501d", "\uff11h"])
def test_an_invalid_duration_is_refused(cli: InProcessCli, ttl: str) -> None:
    """The error has examples, or the minimum and the maximum."""
    refused = cli.run("session", "open", cli.add_player(), f"--ttl={ttl}")
    assert_error_line(refused, 2, "24h" if not re.fullmatch(r"(0s|36501d)", ttl) else "between 1s and 100 years")


def test_the_token_alone_goes_to_stdout(wallet: InProcessCli) -> None:
    """`TOKEN=$(minwallet session open …)` works. The end of the session is printed on stderr."""
    player = wallet.add_player()
    opened = wallet.run("session", "open", player, "--ttl", "30m")
    assert opened.code == 0
    assert re.fullmatch(r"[A-Za-z0-9_]{40}\n", opened.out)
    assert player in opened.err
    assert "USD" in opened.err


def test_a_session_is_in_one_currency(wallet: InProcessCli) -> None:
    """The option is required if the player has several."""
    player = wallet.add_player()
    wallet("player", "add", player, "--currency", "EUR")
    assert_error_line(wallet.run("session", "open", player), 1, "EUR, USD", "--currency")
    assert wallet("session", "open", player, "--currency", "EUR")["currency"] == "EUR"
    assert_error_line(wallet.run("session", "open", player, "--currency", "GBP"), 1, "GBP")
    assert [row["currency"] for row in wallet("session", "list", player)["sessions"]] == ["EUR"]


def test_sessions_are_listed_with_shortened_tokens(wallet: InProcessCli) -> None:
    """The newest of this player come first. A complete token is shown only when it is opened."""
    player = wallet.add_player()
    wallet.open_session(wallet.add_player())
    first, second = wallet.open_session(player, "--ttl", "1h"), wallet.open_session(player)
    listed = wallet.run("session", "list", player, "--json")
    assert list(listed.json) == ["sessions"]
    for row, token in zip(listed.json["sessions"], (second, first), strict=True):
        assert sorted(row) == ["created_at", "currency", "expires_at", "session", "status", "token"]
        assert token.startswith(row["token"].rstrip("…"))
        assert (row["currency"], row["status"]) == ("USD", "live")
        assert token not in listed.out
    for header, *rows in [map(split_cells, wallet.run("session", "list", player).out.splitlines())]:
        assert header == ["token", "currency", "status", "created", "expires"]
        assert [row[:3] for row in rows] == [[f"{token[:6]}…", "USD", "live"] for token in (second, first)]


def test_an_empty_list_of_sessions_has_a_hint(wallet: InProcessCli) -> None:
    """Scripts get an empty JSON list, and people a command to open a session."""
    player = wallet.add_player()
    assert wallet("session", "list", player) == {"sessions": []}
    assert f"minwallet session open {player}" in wallet.run("session", "list", player).out


def test_a_session_is_revoked_by_its_token(wallet: InProcessCli) -> None:
    """Other sessions stay valid. Revoking it again changes nothing."""
    player = wallet.add_player()
    first, second = wallet.open_session(player), wallet.open_session(player)
    assert wallet("session", "revoke", first) == {"revoked": True}
    statuses = [row["status"] for row in wallet("session", "list", player)["sessions"]]
    assert statuses == ["live", "revoked"]
    assert wallet("session", "revoke", first) == {"revoked": True}
    assert "revoked" in wallet.run("session", "revoke", second).out


def test_a_session_expires(cli: InProcessCli) -> None:
    """The list shows it as expired."""
    player = cli.add_player()
    cli.open_session(player, "--ttl", "1s")
    while (found := cli("session", "list", player)["sessions"][0])["status"] == "live":
        assert datetime.now(UTC) < datetime.fromisoformat(found["expires_at"]) + timedelta(seconds=5)
    assert found["status"] == "expired"
    assert datetime.now(UTC) >= datetime.fromisoformat(found["expires_at"])


def test_an_unknown_player_or_token_is_refused(wallet: InProcessCli) -> None:
    """A shortened token is refused too."""
    token = wallet.open_session(wallet.add_player())
    assert_error_line(wallet.run("session", "open", "nobody", "--json"), 1, "nobody", "player list")
    assert_error_line(wallet.run("session", "list", "nobody", "--json"), 1, "nobody", "player list")
    assert_error_line(wallet.run("session", "revoke", token[:6], "--json"), 1, "session")
    assert_error_line(wallet.run("session", "revoke", f"{token[:6]}…"), 2, "token")
    assert_usage_error(wallet.run("session", "revoke"), "TOKEN")
