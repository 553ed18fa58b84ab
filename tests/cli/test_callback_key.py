"""`minwallet agent callback-key`."""

import re
from itertools import count

import pytest

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.support import InProcessCli

COMMAND = ("agent", "callback-key")

_numbers = count(1)


@pytest.fixture
def agent(wallet: InProcessCli) -> str:
    """Return an agent of its own."""
    name = f"callback{next(_numbers)}"
    wallet("agent", "add", name)
    return name


def test_a_callback_key_is_shown_only_when_it_is_created(wallet: InProcessCli, agent: str) -> None:
    """It is unguessable and begins with `mwc_`. The list shows its first characters, its times and its author."""
    made = wallet(*COMMAND, "add", agent)
    assert list(made) == ["agent", "callback_key"]
    assert made["agent"] == agent
    assert re.fullmatch(r"mwc_[0-9a-f]{40}", made["callback_key"])
    (row,) = wallet(*COMMAND, "list", agent)["callback_keys"]
    assert row["callback_key"] == f"{made['callback_key'][:12]}…"
    assert row["created_by"].startswith("command line")
    assert (row["agent"], row["revoked_at"]) == (agent, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["created_at"])


def test_the_key_alone_goes_to_stdout(wallet: InProcessCli, agent: str) -> None:
    """`KEY=$(minwallet agent callback-key add …)` works."""
    made = wallet.run(*COMMAND, "add", agent)
    assert re.fullmatch(r"mwc_[0-9a-f]{40}\n", made.out)
    assert made.err == f"the provider endpoints below /KEY/ accept sessions of agent {agent} only\n"


def test_a_key_is_revoked_by_its_beginning(wallet: InProcessCli, agent: str) -> None:
    """As the list shows it, shorter, or whole. The revoked key stays in the list."""
    first, second, third = (wallet(*COMMAND, "add", agent)["callback_key"] for _ in range(3))
    for given, key in ((first[:11], first), (f"{second[:12]}…", second), (third, third)):
        revoked = wallet(*COMMAND, "revoke", agent, given)
        assert revoked["callback_key"] == f"{key[:12]}…"
        assert revoked["revoked_at"]
    rows = [split_cells(line) for line in wallet.run(*COMMAND, "list", agent).out.splitlines()]
    assert rows[0] == ["callback key", "created", "created by", "revoked"]
    assert [row[0] for row in rows[1:]] == [f"{key[:12]}…" for key in (first, second, third)]
    assert all(row[3].endswith("Z") for row in rows[1:])


def test_a_beginning_must_be_unambiguous(wallet: InProcessCli, agent: str) -> None:
    """Only live keys of this agent count. A longer text must be the whole key, because only its hash is known."""
    first, second = (wallet(*COMMAND, "add", agent)["callback_key"] for _ in range(2))
    wallet(*COMMAND, "add", "default")
    refused = wallet.run(*COMMAND, "revoke", agent, "mwc_")
    assert_error_line(refused, 1, "2 live callback keys that begin with 'mwc_'", f"{first[:12]}…", f"{second[:12]}…")
    for given in (first[:20], f"{first[:-1]}{'0' if first[-1] != '0' else '1'}", "zzz"):
        refused = wallet.run(*COMMAND, "revoke", agent, given)
        assert_error_line(refused, 1, "no live callback key", f"minwallet agent callback-key list {agent}")
        assert given[13:] == "" or given[13:] not in refused.err
    wallet(*COMMAND, "revoke", agent, first)
    assert wallet(*COMMAND, "revoke", agent, "m")["callback_key"] == f"{second[:12]}…"
    assert_error_line(wallet.run(*COMMAND, "revoke", agent, "m"), 1, "no live callback key that begins with 'm'")


def test_invalid_arguments_are_refused(wallet: InProcessCli, agent: str) -> None:
    """The agent must exist."""
    for command in (("add", "nobody"), ("list", "nobody"), ("revoke", "nobody", "mwc_")):
        assert_error_line(wallet.run(*COMMAND, *command), 1, "unknown agent 'nobody'", "minwallet agent list")
    assert_error_line(wallet.run(*COMMAND, "revoke", agent, "a/b"), 2, "key_prefix", "the beginning of a callback key")
    assert_usage_error(wallet.run(*COMMAND, "revoke", agent), "KEY-PREFIX")
    empty, advice = wallet.run(*COMMAND, "list", agent), f"minwallet agent callback-key add {agent}"
    assert (empty.code, empty.out) == (0, f"no callback keys yet; create one with: {advice}\n")
