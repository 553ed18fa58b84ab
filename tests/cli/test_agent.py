"""`minwallet agent`."""

from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.support import InProcessCli

DEFAULT = {"name": "default", "wallet_token": "default", "host_id": None}


def test_a_fresh_file_has_one_agent(wallet: InProcessCli) -> None:
    """A new file has the agent `default`, and `agent list` shows all agents in order of name."""
    assert wallet("agent", "list")["agents"][0] == DEFAULT
    assert list(wallet("agent", "list")) == ["agents"]
    names = [agent["name"] for agent in wallet("agent", "list")["agents"]]
    assert names == sorted(names)


def test_an_agent_is_added_and_listed(wallet: InProcessCli) -> None:
    """The reply of `agent add` is the agent as `agent list` shows it."""
    added = wallet("agent", "add", "north", "--wallet-token", "N1", "--host-id", "host-1")
    assert added == {"name": "north", "wallet_token": "N1", "host_id": "host-1"}
    assert added in wallet("agent", "list")["agents"]


def test_a_wallet_token_is_made_of_the_name(wallet: InProcessCli) -> None:
    """The default wallet token is the name, without characters that the protocol does not allow."""
    assert wallet("agent", "add", "south.east-1") == {
        "name": "south.east-1",
        "wallet_token": "south_east_1",
        "host_id": None,
    }


def test_agents_are_a_table_for_people(wallet: InProcessCli) -> None:
    """A table that is not on a terminal shows the longest names in full."""
    name, token, host = "n" * 40, "t" * 40, "h" * 128
    added = wallet.run("agent", "add", name, "--wallet-token", token, "--host-id", host)
    header, row = added.out.splitlines()
    assert split_cells(header) == ["agent", "wallet token", "host id"]
    assert split_cells(row) == [name, token, host]
    listed = wallet.run("agent", "list")
    assert (listed.code, listed.err) == (0, "")
    assert [name, token, host] in map(split_cells, listed.out.splitlines())


def test_two_agents_share_nothing(wallet: InProcessCli) -> None:
    """A name, wallet token or host id of another agent is refused, and nothing is added."""
    wallet("agent", "add", "west", "--wallet-token", "W1", "--host-id", "west-host")
    before = wallet("agent", "list")
    assert_error_line(wallet.run("agent", "add", "west", "--json"), 1, "west", "agent list")
    assert_error_line(wallet.run("agent", "add", "west2", "--wallet-token", "W1"), 1, "W1")
    assert_error_line(wallet.run("agent", "add", "west3", "--host-id", "west-host"), 1, "west-host")
    assert wallet("agent", "list") == before


def test_an_invalid_name_is_refused(wallet: InProcessCli) -> None:
    """The error states the allowed form."""
    assert_error_line(wallet.run("agent", "add", "two words"), 2, "two words", "name", "1 to 40")
    assert_error_line(wallet.run("agent", "add", "x" * 41), 2, "name")
    assert_error_line(wallet.run("agent", "add", "x", "--wallet-token", "a-b"), 2, "a-b", "wallet_token")
    assert_error_line(wallet.run("agent", "add", "x", "--host-id", "a b"), 2, "a b", "host_id")
    assert_usage_error(wallet.run("agent", "add"), "NAME")
