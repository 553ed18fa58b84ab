"""A server whose disk space is low, seen from outside."""

import json
import re
from pathlib import Path
from typing import Any

from tests.support import InProcessCli, running_server
from tests.web.backoffice.admin_client import AdminClient


def test_new_bets_are_temporarily_unavailable(db: Path) -> None:
    """New bets get 503 in the form of the protocol, while wins and cancels are applied; `/readyz`, log and back
    office give the reason."""
    cli = InProcessCli(db)
    player = cli.add_player()
    token = cli.open_session(player)
    with running_server(db, MINWALLET_MIN_FREE_MB="900000000") as server:
        bet: dict[str, Any] = {"code": token, "type": "bet", "bet": 1, "id": 1, "game": 1}
        answer = server.http.post("/wallet", json=bet)
        assert (answer.status_code, answer.json()["err_code"]) == (503, 500)
        assert "unavailable" in answer.json()["err_desc"]
        answer = server.http.get("/api/bet", params={"access_token": token, "ticket_id": "1", "total_bet": "1"})
        assert (answer.status_code, answer.json()["status_code"]) == (503, 500)
        assert server.wallet_v2(code=token, type="win", win=5, id=2, game=1)["result"] == 1
        assert server.wallet_v2(code=token, type="cancel", id=3)["result"] == 1
        assert server.wallet_v2(code=token, type="credit")["credit"] == 10_005
        server.cli("deposit", player, "1")

        ready = server.http.get("/readyz")
        assert ready.status_code == 503
        (reason,) = ready.json()["reasons"]
        assert "MINWALLET_MIN_FREE_MB (900000000)" in reason
        reason = "MINWALLET_MIN_FREE_MB (900000000)"  # the free space changes during the test
        (line,) = (line for line in server.log.read_text().splitlines() if '"message"' in line and reason in line)
        document = json.loads(line)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document.pop("at"))
        assert reason in document.pop("message")
        assert document == {"level": "warning"}
        clerk = AdminClient(server)
        assert reason in clerk.get_page("/admin/settings")
        assert reason in clerk.get_page("/admin")
        clerk.http.close()
    assert [each["kind"] for each in cli.read_entries(player)] == ["deposit", "win", "cancel", "deposit"]
    with running_server(db) as server:
        assert server.wallet_v2(**bet)["result"] == 1
        assert server.http.get("/readyz").status_code == 200
