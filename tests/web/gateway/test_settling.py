"""Wins after the end of a session, refunds of betwins, cancels in won rounds, and numbers with a sign, over HTTP."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from minwallet.wallet.sessions import hash_token
from tests.support import InProcessCli, Server, running_server
from tests.web.api_client import create_key
from tests.web.scraper import Scraper

HOUR_MS = 3_600_000


def end_session(db: Path, token: str, *, hours_ago: int, revoked: bool) -> None:
    """Make a session of a closed file end in the past."""
    end = "revoked_at_ms" if revoked else "expires_at_ms"
    with closing(sqlite3.connect(db, isolation_level=None)) as file:
        changed = file.execute(
            f"UPDATE sessions SET {end} = unixepoch() * 1000 - ? WHERE token_hash = ?",
            (hours_ago * HOUR_MS, hash_token(token)),
        )
        assert changed.rowcount == 1


def read_rows(cli: InProcessCli, player: str) -> list[tuple[str, str, int]]:
    return [(row["id"], row["state"], row["amount"]) for row in cli.read_entries(player) if row["kind"] == "win"]


@pytest.mark.parametrize(("revoked", "code"), [(False, 103), (True, 102)])
def test_a_known_token_credits_nothing_after_a_day(db: Path, revoked: bool, code: int) -> None:
    """Only a win with a standing bet is paid then, also to a blocked player. A refused win leaves no entry."""
    cli = InProcessCli(db)
    player = cli.add_player()
    token = cli.open_session(player)
    with running_server(db) as server:
        assert server.wallet_v2(code=token, type="bet", bet=100, id=1, game=1)["result"] == 1
        assert server.wallet_v2(code=token, type="bet", bet=100, id=2, game=1)["result"] == 1
        assert server.wallet_v2(code=token, type="cancel", id=2)["result"] == 1
        assert server.wallet_v2(code=token, type="win", win=5, id=3, game=1)["credit"] == 9905
    end_session(db, token, hours_ago=25, revoked=revoked)
    cli("player", "block", player)
    with running_server(db) as server:
        win: dict[str, Any] = {"code": token, "type": "win", "game": 1}
        for fields in ({"round_id": 77}, {}, {"round_id": None}, {"round_id": 2}):
            said = server.wallet_v2(**win, win=1_000_000, id=10, **fields)
            assert (said["result"], said["err_code"], said["credit"]) == (0, code, 9905)
        assert server.wallet_v2(**win, win=5, id=3)["credit"] == 9905
        assert server.wallet_v2(**win, win=6, id=3)["err_code"] == 106
        assert server.wallet_v2(**win, win=50, id=11, round_id=1)["credit"] == 9955
        assert server.wallet_v2(code=token, type="cancel", id=12)["result"] == 1
    assert read_rows(cli, player) == [("3", "applied", 5), ("11", "applied", 50)]


def test_a_late_win_without_a_bet_is_marked_and_counted(db: Path) -> None:
    """Within a day of the session's end it is paid. Metrics, totals and the back office show it."""
    cli = InProcessCli(db)
    player = cli.add_player()
    cli.add_player("EUR")
    tokens = [cli.open_session(player), cli.open_session(player)]
    end_session(db, tokens[0], hours_ago=23, revoked=False)
    with running_server(db) as server:
        win: dict[str, Any] = {"type": "win", "game": 1}
        assert server.wallet_v2(**win, code=tokens[0], win=5, id=1)["credit"] == 10_005
        assert server.wallet_v2(**win, code=tokens[0], win=7, id=2, round_id=9)["credit"] == 10_012
        assert server.wallet_v2(**win, code=tokens[1], win=11, id=3)["credit"] == 10_023
        assert server.wallet_v2(**win, code=tokens[1], win=13, id=4, round_id=9)["credit"] == 10_036
    with running_server(db) as server:
        scraped = Scraper(server).scrape()
        assert scraped("wins_without_a_bet", currency="USD") == 3
        assert scraped.get_label_values("wins_without_a_bet_cents") == {"USD", "EUR"}
        assert scraped("wins_without_a_bet_cents", currency="USD") == 25
        key = create_key(server, "reader", "read")
        found = server.http.get("/admin/api/v1/totals", headers={"authorization": f"Bearer {key}"}).json()["totals"]
        (total,) = [each for each in found if each["protocol"] == "wallet-v2"]
        assert (total["wins"], total["paid"], total["orphan_wins"], total["orphan_paid"]) == (4, 36, 3, 25)
    assert read_rows(cli, player) == [("1", "orphan", 5), ("2", "orphan", 7), ("3", "applied", 11), ("4", "orphan", 13)]
    cli.assert_ledger_valid()


def test_no_hours_to_settle_pay_no_win_without_a_bet(db: Path) -> None:
    """MINWALLET_SETTLE_HOURS=0 refuses them from the session's end on."""
    cli = InProcessCli(db)
    token = cli.open_session(cli.add_player())
    cli("session", "revoke", token)
    with running_server(db, MINWALLET_SETTLE_HOURS="0") as server:
        assert server.wallet_v2(code=token, type="win", win=5, id=1, game=1)["err_code"] == 102
    with running_server(db) as server:
        assert server.wallet_v2(code=token, type="win", win=5, id=1, game=1)["credit"] == 10_005


def test_a_lost_betwin_can_be_refunded_after_its_win_is_spent(server: Server) -> None:
    """Cash of 0 is enough where the betwin lost. It is not enough for a net win."""
    player = server.cli.add_player(bonus="2")
    token = server.cli.open_session(player)
    lost = {"access_token": token, "ticket_id": 8_100_001}
    assert server.vela("betwin", **lost, total_bet=10_000, total_win=1)["balance"] == 1
    assert server.vela("bet", access_token=token, ticket_id=8_100_002, total_bet=1)["balance"] == 0
    won = {"access_token": token, "ticket_id": 8_100_003}
    assert server.vela("betwin", **won, total_bet=200, total_win=300)["balance"] == 300
    assert server.vela("bet", access_token=token, ticket_id=8_100_004, total_bet=300)["balance"] == 0
    refused = server.vela("refund", **won)
    assert (refused["status_code"], refused["balance"], refused["balance2"]) == (2, 0, 0)
    refunded = server.vela("refund", **lost)
    assert (refunded["status_code"], refunded["balance"], refunded["balance2"]) == (0, 9_999, 0)
    refunded = server.vela("refund", **won)
    assert (refunded["status_code"], refunded["balance"], refunded["balance2"]) == (0, 9_699, 200)
    assert server.vela("refund", **won)["status_code"] == 0
    assert server.cli.read_balances(player) == (9_699, 200)


def test_a_bet_of_a_won_round_can_be_cancelled_while_another_stands(server: Server) -> None:
    """The stake of a bet that was never placed is returned. The last bet before the win stays."""
    player = server.cli.add_player()
    call: dict[str, Any] = {"code": server.cli.open_session(player), "game": 1, "round_id": 8_200_001}
    for id_, stake in ((8_200_001, 100), (8_200_002, 30)):
        server.wallet_v2(**call, type="bet", bet=stake, id=id_)
    assert server.wallet_v2(**call, type="win", win=50, id=8_200_003)["credit"] == 9_920
    assert server.wallet_v2(**call, type="cancel", id=8_200_001)["credit"] == 10_020
    assert server.wallet_v2(**call, type="cancel", id=8_200_001)["credit"] == 10_020
    refused = server.wallet_v2(**call, type="cancel", id=8_200_002)
    assert (refused["err_code"], refused["credit"]) == (108, 10_020)


def test_a_negative_zero_moves_no_money(server: Server) -> None:
    """It is refused with the name of its field: amounts, ids, rounds and games, and amounts of the admin API."""
    player = server.cli.add_player()
    token = server.cli.open_session(player)
    bet = {"code": token, "type": "bet", "bet": 1, "id": 8_300_001, "game": 1, "round_id": 1}
    for name in ("bet", "id", "round_id", "game"):
        for zero in ("-0", "-0.0", "0.0", "0e0"):
            body = json.dumps(bet | {name: "ZERO"}).replace('"ZERO"', zero)
            said = server.http.post("/wallet", content=body).json()
            assert (said["err_code"], said["err_desc"].partition(":")[0]) == (100, name)
    assert server.http.post("/wallet", content="\ufeff" + json.dumps(bet)).json()["credit"] == 9_999
    assert server.cli.read_balances(player) == (9_999, 0)
