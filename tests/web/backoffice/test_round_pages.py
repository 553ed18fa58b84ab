"""Open rounds, and the status of other rounds."""

import pytest

from minwallet.web.backoffice.round_pages import format_age
from tests.support import Server
from tests.web.backoffice.admin_client import AdminClient, read_table_rows


@pytest.fixture(scope="module")
def name(server: Server) -> str:
    """Return a player with an open bet in each protocol, and with ended rounds."""
    name = server.cli.add_player()
    token = server.cli.open_session(name)
    server.wallet_v2(type="bet", bet=100, id=41, game=1012, code=token)
    server.vela("bet", access_token=token, ticket_id=41, total_bet=200)
    server.wallet_v2(type="bet", bet=300, id=42, game=1012, code=token)
    server.wallet_v2(type="win", win=700, id=43, round_id=42, game=1012, code=token)
    server.wallet_v2(type="bet", bet=400, id=44, game=1012, code=token)
    server.wallet_v2(type="cancel", id=44, code=token)
    return name


def test_open_rounds_are_listed(admin_client: AdminClient, name: str) -> None:
    """They have stake and age, newest first; ended rounds are not listed."""
    rows = read_table_rows(admin_client.get_page("/admin/rounds"))
    assert [(row[0], row[1], row[4], row[6]) for row in rows] == [
        ("41", "2.00 USD", name, "vela"),
        ("41", "1.00 USD", name, "wallet-v2"),
    ]
    assert "second" in rows[0][2]


def test_open_rounds_are_filtered_by_age(admin_client: AdminClient, name: str) -> None:
    """In this test no round is older than an hour."""
    assert name not in admin_client.get_page("/admin/rounds?age=1h")
    assert "No open rounds" in admin_client.get_page("/admin/rounds?age=7d")
    assert name in admin_client.get_page("/admin/rounds?age=nonsense")


def test_a_round_is_looked_up(admin_client: AdminClient, name: str) -> None:
    """The page has its entries and its status."""
    page = admin_client.get_page("/admin/rounds?round=42")
    assert "3.00 USD staked, 7.00 USD won." in page
    assert [row[2].split()[0] for row in read_table_rows(page)] == ["bet", "win"]
    assert "Cancelled; 4.00 USD staked and returned." in admin_client.get_page("/admin/rounds?round=44")
    assert "Round not found" in admin_client.get_page("/admin/rounds?round=987654321")


def test_equal_round_ids_of_two_protocols_are_two_rounds(admin_client: AdminClient, name: str) -> None:
    """Each protocol has its own ids."""
    page = admin_client.get_page("/admin/rounds?round=41")
    assert "1.00 USD staked; no result or cancel yet." in page
    assert "2.00 USD staked; no result or cancel yet." in page
    assert len(read_table_rows(page)) == 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 seconds"), (1, "1 second"), (119, "1 minute"), (7200, "2 hours"), (90_000, "1 day"), (10**7, "115 days")],
)
def test_an_age_is_formatted_in_its_largest_unit(seconds: int, text: str) -> None:
    """If the clock was set back, an age is zero and not negative."""
    assert format_age(seconds * 1000) == text
