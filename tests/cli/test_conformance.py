"""`minwallet conformance` with the real server, with wrong wallets, and its output."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from minwallet.protocols.registry import PROTOCOLS
from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.conformance import flaws
from tests.conformance.reference_wallet import TOKENS, ReferenceWallet, run_app
from tests.support import TIMEOUT_S, CommandResult, InProcessCli, Server, run_minwallet, running_server

VELA = ["--protocol", "vela", "--token", TOKENS["token"]]
WALLET_V2 = ["--protocol", "wallet-v2", "--token", TOKENS["token"]]


class ConformanceActors:
    """Players of a real server, with a token for each option of the command."""

    def __init__(self, server: Server) -> None:
        self.cli = cli = InProcessCli(server.db)
        self.alice, self.bob, self.eve = cli.add_player(bonus="5"), cli.add_player(), cli.add_player()
        cli("player", "add", self.alice, "--currency", "EUR", "--balance", 100)
        dollars = ("--currency", "USD")
        tokens = {
            "expired-token": cli.open_session(self.alice, *dollars, "--ttl", "1s"),
            "token": cli.open_session(self.alice, *dollars),
            "second-token": cli.open_session(self.bob),
            "currency-token": cli.open_session(self.alice, "--currency", "EUR"),
            "revoked-token": cli.open_session(self.alice, *dollars),
            "blocked-token": cli.open_session(self.eve),
            "wallet-token": "default",
        }
        cli("session", "revoke", tokens["revoked-token"])
        cli("player", "block", self.eve)
        self.options = [word for name, token in tokens.items() for word in (f"--{name}", token)]
        self.tokens = [token for name, token in tokens.items() if name != "wallet-token"]

    def accounts(self) -> list[tuple[int, int]]:
        whose = ((self.alice, "USD"), (self.alice, "EUR"), (self.bob, "USD"), (self.eve, "USD"))
        return [self.cli.read_balances(player, currency) for player, currency in whose]

    def has_expired(self) -> bool:
        return bool(self.cli("session", "list", self.alice)["sessions"][-1]["status"] == "expired")


@pytest.fixture(scope="module")
def actors(server: Server) -> ConformanceActors:
    actors = ConformanceActors(server)
    assert any(actors.has_expired() for _ in range(TIMEOUT_S * 10))
    return actors


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_minwallet_itself_passes(server: Server, actors: ConformanceActors, protocol: str, tmp_path: Path) -> None:
    """With all tokens, no case fails, is advice or is skipped. The balances are unchanged, and the ledger verifies."""
    before, file = actors.accounts(), tmp_path / "result.xml"
    command = ["conformance", server.url, "--protocol", protocol, *actors.options, "--junit", file, "--json"]
    result = run_minwallet(*command)
    assert (result.code, result.err) == (0, "")
    document = result.json
    assert [each for each in document["cases"] if each["verdict"] != "pass"] == []
    assert document["counts"] == {"pass": len(document["cases"]), "fail": 0, "advice": 0, "skipped": 0}
    assert (document["ok"], document["protocol"], document["url"]) == (True, protocol, server.url)
    assert set(document["left"]["change"].values()) == {"0.00"}
    assert document["left"]["open"] == []
    assert actors.accounts() == before
    actors.cli.assert_ledger_valid()
    assert len(ElementTree.parse(file).findall(".//testcase")) == len(document["cases"])
    for token in actors.tokens:
        assert token not in result.out + file.read_text()


def test_a_callback_key_is_part_of_the_url(tmp_path: Path) -> None:
    """The paths of the protocol are below the given URL."""
    with running_server(tmp_path / "wallet.db", MINWALLET_CALLBACK_KEY="a_secret_key") as server:
        cli = InProcessCli(server.db)
        options = ["--protocol", "vela", "--token", cli.open_session(cli.add_player()), "--json"]
        there = cli.run("conformance", f"{server.url}/a_secret_key/", *options)
        assert (there.code, there.json["counts"]["fail"]) == (0, 0)
        elsewhere = cli.run("conformance", server.url, *options)
        assert_error_line(elsewhere, 1, "no balance for --token", "HTTP 404")


def run_conformance(double: ReferenceWallet, *options: object) -> CommandResult:
    """Run the command with all tokens against a test wallet."""
    tokens = [
        word for name, token in TOKENS.items() for word in (f"--{name}-token" if name != "token" else "--token", token)
    ]
    with run_app(double) as url:
        return InProcessCli(Path("none.db")).run(
            "conformance", url, "--protocol", double.protocol.name, *tokens, *options
        )


def test_a_wrong_wallet_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    """The exit code is 1. The output has the case, the quoted rule, the calls, the result, and the leftovers."""
    file = tmp_path / "result.xml"
    result = run_conformance(flaws.DebitsRetriedBets("wallet-v2"), "--first-id", 5000, "--junit", file)
    assert (result.code, result.err) == (1, "")
    table, _, stories = result.out.partition("\n\n")
    lines = [split_cells(line) for line in table.splitlines()]
    assert lines[0] == ["verdict", "case", "received", "expected", "sent"]
    row = ["FAIL", "bet-retry", "accepted, balance -0.10", "any reply, balance -0.05", "bet a 0.05; bet a 0.05"]
    assert row in lines
    story = next(each for each in stories.split("\n\n") if each.startswith("FAIL bet-retry:"))
    for words in ("A retry of a bet deducts nothing more.", "“The “id” parameter is unique within one currency,",
                  'POST /wallet {"bet":5,"code":"{token}"',
                  "expected  any reply, balance -0.05", "received  accepted, balance -0.10",
                  'answer    HTTP 200 {"credit":'):  # fmt: skip  # one line each
        assert words in story
    assert result.out.splitlines()[-1].startswith("left behind: -0.55 for --token; used ids 5000 to ")
    suite = ElementTree.parse(file).find("testsuite")
    assert suite is not None
    assert [each.get("name") for each in suite if each.find("failure") is not None] == ["bet-retry", "same-bet-at-once"]
    assert (suite.get("failures"), suite.get("skipped")) == ("2", "2")
    assert "advice" in suite.findtext("testcase[@name='bet-retry-expired']/system-out", "")
    assert not any(token in result.out + file.read_text() for token in TOKENS.values() if token != "default")


def test_a_broken_rule_of_the_contract_is_advice() -> None:
    """A rule that only minwallet's contract has is not a failure: the exit code is 0."""
    result = run_conformance(flaws.NonstandardCodes("wallet-v2"), "--json")
    assert (result.code, result.json["ok"]) == (0, True)
    advised = {each["name"]: each for each in result.json["cases"] if each["verdict"] == "advice"}
    assert set(advised) == {"bet-over-credit/code", "bet-refused-stays-refused"}
    assert all(each["advice"] and each["spec"].startswith("minwallet's contract: ") for each in advised.values())
    assert advised["bet-over-credit/code"]["came"] == "code 999"


def test_cases_without_a_token_are_skipped(cli: InProcessCli) -> None:
    """The table names the missing option, and the last lines count them. No wallet file is needed or created."""
    with run_app(ReferenceWallet("vela")) as url:
        result = cli.run("conformance", url, *VELA)
    assert result.code == 0
    assert not cli.db.exists()
    lines = [split_cells(line) for line in result.out.splitlines()]
    row = ["skipped", "bet-ticket-of-other-player", "give --second-token", "bet a 0.05; bet a 0.05 by second"]
    assert row in lines
    *_, sums, left = result.out.splitlines()
    assert " passed, 0 failed, 0 with advice, " in sums
    assert left.startswith("left behind: nothing, all balances are unchanged; used ids ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["http://127.0.0.1:1", "--protocol", "x", "--token", "t"], "unknown protocol 'x'; use wallet-v2 or vela"),
        (["127.0.0.1:8000", *VELA], "write it like http://127.0.0.1:8000"),
        (["ftp://host", *VELA], "write it like http://127.0.0.1:8000"),
        (["http://host:99999999", *VELA], "invalid address 'http://host:99999999'"),
        (["http://127.0.0.1:1", *VELA, "--first-id", "-1"], "invalid --first-id -1: must be from 0 to"),
        (["http://127.0.0.1:1", *VELA, "--timeout", "0"], "invalid --timeout 0: must be more than 0"),
        (["http://127.0.0.1:1", *VELA, "--timeout", "nan"], "invalid --timeout nan: must be more than 0"),
        (["http://127.0.0.1:1", "--protocol", "vela", "--token", ""], "invalid --token '': must not be empty"),
    ],
)  # fmt: skip  # a table of mistakes
def test_invalid_values_are_usage_errors(cli: InProcessCli, words: list[str], complaint: str) -> None:
    """The error is one line with code 2, before any call."""
    assert_error_line(cli.run("conformance", *words), 2, complaint)


def test_required_arguments_are_named(cli: InProcessCli) -> None:
    """The URL, the protocol and a token are required."""
    assert_usage_error(cli.run("conformance"), "URL")
    assert_usage_error(cli.run("conformance", "http://127.0.0.1:1", "--token", "t"), "--protocol")
    assert_usage_error(cli.run("conformance", "http://127.0.0.1:1", "--protocol", "vela"), "--token")


def test_an_unreachable_wallet_is_code_3(cli: InProcessCli) -> None:
    """The error is one line that asks for the URL."""
    with run_app(ReferenceWallet("vela")) as url:
        pass
    assert_error_line(cli.run("conformance", url, *VELA), 3, url, "is that the wallet's address?")


def test_an_unknown_token_is_code_1(cli: InProcessCli) -> None:
    """Without a balance no case can run. The error has the wallet's reply, without the token."""
    with run_app(ReferenceWallet("wallet-v2")) as url:
        result = cli.run("conformance", url, "--protocol", "wallet-v2", "--token", "a_mistyped_token")
    assert_error_line(result, 1, "no balance for --token, so no case was run", '"err_code":102')
    assert "a_mistyped_token" not in result.err


def test_a_result_that_cannot_be_written_is_code_3(cli: InProcessCli, tmp_path: Path) -> None:
    """The result is still printed."""
    with run_app(ReferenceWallet("wallet-v2")) as url:
        result = cli.run("conformance", url, *WALLET_V2, "--junit", tmp_path, "--json")
    assert result.code == 3
    assert json.loads(result.out)["ok"] is True
    assert f"the test is complete, but '{tmp_path}' cannot be written" in result.err
