"""Over HTTP and at the command line: a change whose row in the audit log fails is absent, and can be repeated."""

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support import Cli, Server, running_server
from tests.web.login_client import LoginClient, create_login_link

NO_ROWS_ABOUT_ANN = """
    CREATE TRIGGER audit_fails BEFORE INSERT ON audit_log WHEN new.subject = 'ann' OR new.action = 'sign_in'
    BEGIN SELECT RAISE(ABORT, 'no audit'); END
"""

PLAYER = "/admin/api/v1/agents/default/players/ann"


def change_schema(db: Path, statement: str) -> None:
    """Execute the statement in the file. No other connection of this process may have it open."""
    with closing(sqlite3.connect(db, isolation_level=None)) as file:
        file.execute(statement)


def read_state(server: Server) -> list[object]:
    """Return all that the calls about ann would change."""
    commands = ("player show", "ledger", "session list", "limit list")
    return [server.cli(*command.split(), "ann") for command in commands]


def test_nothing_stands_that_was_answered_503(cli: Cli, db: Path) -> None:
    """The admin API and the sign-in answer 503, a command ends with code 3, and nothing has changed."""
    cli("player", "add", "ann", "--currency", "USD", "--balance", "10")
    headers = {"authorization": f"Bearer {cli('key', 'add', 'site', '--scope', 'write')['key']}"}
    deposit = {"amount": 100, "reference": "r1"}
    with running_server(db) as server:
        # A server does not start on a changed schema.
        change_schema(db, NO_ROWS_ABOUT_ANN)
        before = read_state(server)
        calls = [
            ("POST", f"{PLAYER}/deposits", deposit),
            ("POST", f"{PLAYER}/withdrawals", deposit),
            ("PATCH", PLAYER, {"status": "blocked"}),
            ("POST", f"{PLAYER}/sessions", {}),
            ("PUT", f"{PLAYER}/limits/deposit/day", {"amount": 5}),
            ("PUT", f"{PLAYER}/exclusion", {"until": "2100-01-01T00:00:00Z"}),
        ]
        for method, path, body in calls:
            response = server.http.request(method, path, json=body, headers=headers)
            assert response.status_code == 503, response.text
        for command in (["player", "block", "ann"], ["deposit", "ann", "1"], ["admin", "link", "--name", "ann"]):
            result = server.cli.run(*command)
            assert result.code == 3, result
            assert "no audit" in result.err
        link, admin = create_login_link(server, "eve"), LoginClient(server)
        assert admin.use_link(link).status_code == 503
        assert "set-cookie" not in admin.use_link(link).headers
        assert read_state(server) == before
        assert [each["name"] for each in server.cli("admin", "list")["admins"]] == ["admin", "eve"]
    change_schema(db, "DROP TRIGGER audit_fails")
    with running_server(db) as server:
        assert LoginClient(server).use_link(link).status_code == 303
        response = server.http.post(f"{PLAYER}/deposits", json=deposit, headers=headers)
        assert (response.status_code, response.json()["cash"]) == (200, 1100)
