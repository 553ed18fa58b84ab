"""`minwallet key`."""

import re
import sqlite3
from contextlib import closing
from itertools import count

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.support import InProcessCli, Server

_numbers = count(1)


@pytest.fixture
def name(wallet: InProcessCli) -> str:
    """Return a name that no key of this file has."""
    del wallet
    return f"key{next(_numbers)}"


def test_a_key_is_shown_only_when_it_is_created(wallet: InProcessCli, name: str) -> None:
    """It is unguessable and begins with `mw_`. The list shows only its first characters."""
    made = wallet("key", "add", name, "--scope", "write")
    assert list(made) == ["key", "name", "scope", "agent"]
    assert re.fullmatch(r"mw_[0-9a-f]{40}", made["key"])
    assert (made["name"], made["scope"], made["agent"]) == (name, "write", None)
    listed = wallet.run("key", "list", "--json")
    assert made["key"] not in listed.out
    (row,) = [each for each in listed.json["keys"] if each["name"] == name]
    assert made["key"].startswith(row.pop("key").rstrip("…"))
    assert row.pop("created_at")
    assert row.pop("created_by").startswith("command line")
    assert row == {"name": name, "scope": "write", "agent": None, "revoked_at": None}


def test_the_key_alone_goes_to_stdout(wallet: InProcessCli, name: str) -> None:
    """`KEY=$(minwallet key add …)` works. The scope is printed on stderr."""
    made = wallet.run("key", "add", name, "--scope", "read")
    assert re.fullmatch(r"mw_[0-9a-f]{40}\n", made.out)
    assert "read for all agents" in made.err


def test_a_key_can_be_restricted_to_one_agent(wallet: InProcessCli, name: str) -> None:
    """The agent must exist."""
    made = wallet.run("key", "add", name, "--scope", "write", "--agent", "first")
    assert "write for agent first" in made.err
    rows = [split_cells(line) for line in wallet.run("key", "list").out.splitlines()]
    assert rows[0] == ["name", "key", "scope", "agent", "created", "created by", "revoked"]
    assert [row[3] for row in rows if row[0] == name] == ["first"]
    assert_error_line(
        wallet.run("key", "add", f"{name}x", "--scope", "read", "--agent", "nobody"), 1, "unknown agent 'nobody'"
    )


def test_a_key_is_revoked_by_its_name(wallet: InProcessCli, name: str) -> None:
    """It stays in the list, and its name stays taken, so that the audit log stays unambiguous."""
    wallet("key", "add", name, "--scope", "read")
    assert wallet("key", "revoke", name) == {"revoked": True}
    (first,) = [each["revoked_at"] for each in wallet("key", "list")["keys"] if each["name"] == name]
    assert first
    assert name in wallet.run("key", "revoke", name).out
    (again,) = [each["revoked_at"] for each in wallet("key", "list")["keys"] if each["name"] == name]
    assert again == first
    assert_error_line(wallet.run("key", "add", name, "--scope", "read"), 1, name, "choose another")
    assert_error_line(wallet.run("key", "revoke", "nothing"), 1, "unknown key 'nothing'", "minwallet key list")


def test_a_key_without_a_recorded_maker_is_named(cli: InProcessCli) -> None:
    """The list says that the maker is not recorded. A reset names the key, and does not revoke it."""
    cli("agent", "add", "brand2")
    cli("key", "add", "old", "--scope", "read")
    with closing(sqlite3.connect(cli.db, isolation_level=None)) as file:
        file.execute("UPDATE api_keys SET created_by = NULL")
        file.execute("INSERT INTO admins (name, created_at_ms) VALUES ('eve', 1)")
    assert "(not recorded)" in cli.run("key", "list").out
    assert cli.run("admin", "reset", "eve").out.splitlines()[1:] == [
        "API keys without a recorded maker still work: old",
    ]
    (key,) = cli("key", "list")["keys"]
    assert (key["created_by"], key["revoked_at"]) == (None, None)


def test_an_invalid_key_is_refused(wallet: InProcessCli) -> None:
    """The error states the valid values."""
    assert_error_line(wallet.run("key", "add", "two words", "--scope", "read"), 2, "two words", "1 to 40")
    assert_error_line(wallet.run("key", "add", "..", "--scope", "read"), 2, "'..'", "not only dots")
    assert_usage_error(wallet.run("key", "add", "x"), "--scope")
    assert_usage_error(wallet.run("key", "add", "x", "--scope", "all"), "'all': expected read or write")


def test_an_empty_list_of_keys_has_a_hint(cli: InProcessCli) -> None:
    """Scripts get an empty JSON list, and people a command to create a key."""
    cli("agent", "add", "first")
    assert cli("key", "list") == {"keys": []}
    assert "minwallet key add" in cli.run("key", "list").out


def test_a_new_key_works_immediately(server: Server) -> None:
    """A revoked key fails immediately."""
    key = server.cli("key", "add", "fresh", "--scope", "read")["key"]
    headers = {"authorization": f"Bearer {key}"}
    assert server.http.get("/admin/api/v1/health", headers=headers).status_code == 200
    server.cli("key", "revoke", "fresh")
    assert server.http.get("/admin/api/v1/health", headers=headers).status_code == 401
