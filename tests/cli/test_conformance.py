"""`minwallet conformance` with the real server, with wrong wallets, and its output."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from minwallet.protocols.registry import list_protocols
from tests.cli.cli_assertions import assert_error_line, split_cells
from tests.conformance import flaws
from tests.conformance.reference_wallet import TOKENS, ReferenceWallet, run_app
from tests.support import TIMEOUT_S, CommandResult, InProcessCli, Server, run_minwallet, running_server

USE = f"use {' or '.join(list_protocols())}"
"""The advice that names the installed protocols."""

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


@pytest.mark.parametrize("protocol", ["vela", "wallet-v2"])
def test_minwallet_itself_passes(server: Server, actors: ConformanceActors, protocol: str, tmp_path: Path) -> None:
    """With all tokens, no case fails, is advice or is skipped. The balances are unchanged, and the ledger verifies."""
    before, file = actors.accounts(), tmp_path / "result.xml"
    command = ["conformance", server.url, "--protocol", protocol, *actors.options, "--junit", file, "--json"]
    result = run_minwallet(*command)
    assert (result.code, result.err) == (0, "")
    document = result.json
    assert [each for each in document["cases"] if each["verdict"] != "pass"] == []
    others = {"fail": 0, "advice": 0, "skipped": 0, "error": 0}
    assert document["counts"] == {"pass": len(document["cases"]), **others}
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
        token = cli.open_session(cli.add_player())
        options = ["--protocol", "vela", "--token", token, *only("bet", "authenticate-of-users"), "--json"]
        there = cli.run("conformance", f"{server.url}/a_secret_key/", *options)
        assert (there.code, there.json["counts"]["fail"]) == (0, 0)
        elsewhere = cli.run("conformance", server.url, *options)
        assert_error_line(elsewhere, 1, "no balance for --token", "HTTP 404")


DEBITING_CASES = ["bet-retry", "bet-retry-tells-credit", "same-bet-at-once", "bet-retry-expired", "bet-retry-revoked"]
"""The cases that lose money in a wallet that debits each retry."""


def only(*names: str) -> list[str]:
    """Return the options that run these cases only."""
    return [word for name in names for word in ("--only", name)]


def run_conformance(double: ReferenceWallet, *options: object, app: ASGIApp | None = None) -> CommandResult:
    """Run the command with all tokens against a test wallet, or against `app` in front of it."""
    tokens = [
        word for name, token in TOKENS.items() for word in (f"--{name}-token" if name != "token" else "--token", token)
    ]
    with run_app(app or double) as url:
        return InProcessCli(Path("none.db")).run(
            "conformance", url, "--protocol", double.protocol.name, *tokens, *options
        )


def test_a_wrong_wallet_is_a_failure_with_its_reason(tmp_path: Path) -> None:
    """The exit code is 1. The output has the case, the quoted rule, the calls, the result, and the leftovers."""
    file = tmp_path / "result.xml"
    chosen = only(*DEBITING_CASES, "bet-blocked", "bet")
    result = run_conformance(flaws.DebitsRetriedBets("wallet-v2"), "--first-id", 5000, "--junit", file, *chosen)
    assert (result.code, result.err) == (1, "")
    summary, _, stories = result.out.partition("\n\n")
    lines = [split_cells(line) for line in summary.splitlines()]
    assert lines[0] == ["FAIL", "bet-retry", "accepted, balance 0.10 lower"]
    assert [verdict for verdict, *_ in lines] == ["FAIL", "advice", "FAIL", "advice", "advice"]
    assert all(len(line) < 80 for line in summary.splitlines())
    story = next(each for each in stories.split("\n\n") if each.startswith("FAIL bet-retry:"))
    assert [line.split()[0] for line in story.splitlines()[1:]] == [
        *("rule", "balance", "sent", "reply", "sent", "reply", "expected", "received")
    ]
    for words in ("A retry of a bet deducts nothing more.",
                  "rule      specification: “The “id” parameter is unique within one currency,",
                  'sent      POST /wallet {"bet":5,"code":"{token}"', 'reply     HTTP 200 {"credit":',
                  "balance   100.50 before the case, then 100.45, 100.40",
                  "expected  any reply, balance 0.05 lower", "received  accepted, balance 0.10 lower",
                  ):  # fmt: skip  # one line each
        assert words in story
    concurrent = next(each for each in stories.split("\n\n") if each.startswith("FAIL same-bet-at-once:"))
    assert "sent      8 copies at once: POST /wallet" in concurrent
    assert "received  all 8 accepted, balance 0.40 lower" in concurrent
    assert '- "balance 0.05 lower" compares the player\'s balance with the one before the case.' in stories
    *_, left, ids = result.out.splitlines()
    assert left == (
        "left behind: --token has 0.55 less than before (-0.05 in bet-retry, -0.05 in bet-retry-tells-credit,"
        " -0.35 in same-bet-at-once, -0.05 in bet-retry-expired, -0.05 in bet-retry-revoked)"
    )
    last = result_id(ids)
    assert ids == f"used ids: 5000 to {last}; a next run on this wallet can begin with --first-id {last + 1}"
    suite = ElementTree.parse(file).find("testsuite")
    assert suite is not None
    assert [each.get("name") for each in suite if each.find("failure") is not None] == ["bet-retry", "same-bet-at-once"]
    assert (suite.get("failures"), suite.get("skipped")) == ("2", "0")
    assert "advice" in suite.findtext("testcase[@name='bet-retry-expired']/system-out", "")
    assert not any(token in result.out + file.read_text() for token in TOKENS.values() if token != "default")


def result_id(line: str) -> int:
    """Return the last used id in the last line of the output."""
    return int(re.findall(r"\d+", line)[1])


def mount(wallet: ReferenceWallet, path: str) -> ASGIApp:
    """Return the wallet as an application whose protocol has this path in place of its own, and no other."""
    own = {"wallet-v2": "/wallet", "vela": "/api"}[wallet.protocol.name]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked = scope["path"]
        known = own + asked.removeprefix(path) if asked.startswith(path) else "/"
        await wallet({**scope, "path": known}, receive, send)

    return app


@pytest.mark.parametrize("protocol", ["vela", "wallet-v2"])
def test_another_path_and_a_minimum_stake_are_options(protocol: str) -> None:
    """A wallet at a path of its own that takes only stakes of whole 1.00 passes all cases."""
    wallet = flaws.MinimumStake(protocol)
    result = run_conformance(
        wallet, "--path", "/casino/v1", "--unit", "1.00", "--json", app=mount(wallet, "/casino/v1")
    )
    assert result.code == 0, result
    assert [each for each in result.json["cases"] if each["verdict"] != "pass"] == []
    (retry,) = (each for each in result.json["cases"] if each["name"] == "bet-retry")
    assert retry["script"] == "bet a 5.00; bet a 5.00"
    assert retry["expected"] == "any reply, balance 5.00 lower"
    assert "/casino/v1" in retry["sent"][0]


def test_a_wallet_at_another_path_is_told_the_option(cli: InProcessCli) -> None:
    """The error of a wallet that answers with 404 names `--path`."""
    wallet = flaws.NotFound("wallet-v2")
    with run_app(wallet) as url:
        result = cli.run("conformance", url, *WALLET_V2)
    assert_error_line(
        result,
        1,
        "no balance for --token",
        "HTTP 404",
        f"the URL was {url}/wallet: if the wallet has another path, change the URL or add --path",
    )


def test_only_the_named_cases_run(cli: InProcessCli) -> None:
    """`--only` takes the names of cases and of their advice, and a second run with the same first id is the same."""
    words = [*only("bet-retry/answer", "win"), "--first-id", 70]
    outputs = []
    for _ in range(2):
        with run_app(ReferenceWallet("wallet-v2")) as url:
            result = cli.run("conformance", url, *WALLET_V2, *words)
        assert result.code == 0
        outputs.append(result.out)
    assert outputs[0].splitlines()[0] == "3 passed, 0 failed, 0 with advice, 0 skipped"
    assert outputs[0] == outputs[1]
    assert outputs[0].splitlines()[-1].startswith("used ids: 70 to ")


def test_the_cases_can_be_listed(cli: InProcessCli) -> None:
    """`--list` needs no wallet. It shows each case with its rule and the options that it needs."""
    lines = [split_cells(line) for line in cli.run("conformance", "--list").out.splitlines()]
    assert ["vela", "bet", "A bet deducts its stake."] in lines
    rule = "A bet with the id of another player's bet is refused."
    assert ["wallet-v2", "bet-id-of-other-player", f"{rule} (needs --second-token)"] in lines
    (case,) = cli("conformance", "--list", "--protocol", "vela", "--only", "bet-token-unknown")["cases"]
    assert (case["name"], case["protocol"], case["advice"]) == ("bet-token-unknown", "vela", False)


def test_a_broken_rule_of_the_contract_is_advice() -> None:
    """A rule that only minwallet's contract has is not a failure: the exit code is 0."""
    chosen = only("bet", "bet-over-credit", "bet-refused-stays-refused")
    result = run_conformance(flaws.NonstandardCodes("wallet-v2"), *chosen, "--json")
    assert (result.code, result.json["ok"]) == (0, True)
    advised = {each["name"]: each for each in result.json["cases"] if each["verdict"] == "advice"}
    assert set(advised) == {"bet-over-credit/code", "bet-refused-stays-refused/code"}
    assert all(each["advice"] and each["spec"].startswith("minwallet's contract: ") for each in advised.values())
    assert advised["bet-over-credit/code"]["received"] == "code 999"


def test_codes_of_its_own_are_one_paragraph() -> None:
    """Codes that the specification leaves open are listed together, not as broken rules."""
    result = run_conformance(flaws.NonstandardCodes("wallet-v2"), *only("bet-over-credit"))
    assert result.code == 0
    assert "How to read" not in result.out
    title, code = result.out.split("\n\n")[1].splitlines()
    assert title.startswith("advice on codes: the specification leaves the codes of these refusals open")
    assert code == "  bet-over-credit: 'bet a all+0.01' gets code 999, minwallet has code 105"


def test_a_refused_simple_bet_gives_the_hint_of_a_minimum_stake() -> None:
    """One case fails, and all others with a bet are not run."""
    names = ("bet", "win", "bet-retry", "bet-without-round", "same-bet-at-once", "game-too-long")
    result = run_conformance(flaws.MinimumStake("wallet-v2"), *only(*names))
    assert result.code == 1
    assert "hint: the wallet refuses a simple bet. If it has a minimum stake, give it with --unit" in result.out
    assert "\n8 skipped: not run: it needs a bet, and the case bet failed\n" in result.out
    assert "\n0 passed, 1 failed, 0 with advice, 8 skipped\n" in result.out


def test_a_live_token_given_as_an_ended_one_gives_a_hint(cli: InProcessCli) -> None:
    """The wallet returns the balance for it, so it is probably no ended session."""
    with run_app(ReferenceWallet("vela")) as url:
        result = cli.run("conformance", url, *VELA, "--expired-token", TOKENS["revoked"], *only("authenticate-expired"))
        live = cli.run("conformance", url, *VELA, "--expired-token", TOKENS["token"], *only("authenticate-expired"))
    assert (result.code, live.code) == (0, 0)
    assert "hint:" not in result.out
    assert "hint: --expired-token can read the balance. Check that its session is really expired" in live.out


def test_a_failure_with_an_ended_session_has_a_note() -> None:
    """The kit cannot see whose session it is."""
    result = run_conformance(flaws.RefusesEndedSessions("wallet-v2"), *only("win-expired", "bet-id-per-currency"))
    assert result.code == 1
    assert result.out.count("\n  note      right only if --expired-token belongs to the player of --token") == 1


def test_the_report_shows_both_balances() -> None:
    """A case with two accounts has a line for each."""
    result = run_conformance(flaws.IdsPerPlayer("wallet-v2"), *only("bet-id-of-other-player"))
    report = result.out.split("\n\n")[2]
    assert report.startswith("FAIL bet-id-of-other-player: ")
    assert "\n  balance   100.50 before the case, then 100.45, 100.45\n" in report
    assert "\n  other     100.50 before the case, then 100.50, 100.45\n" in report


def test_server_errors_for_malformed_calls_are_one_paragraph() -> None:
    """They are advice for each call alike, because no money moves. No bet counts as open."""
    names = ("ticket-missing", "ticket-empty", "ticket-in-letters", "bet-in-letters", "bet-empty", "bet-missing")
    result = run_conformance(flaws.FailsOnMalformedCalls("vela"), *only(*names))
    assert (result.code, result.err) == (0, "")
    paragraph = next(each for each in result.out.split("\n\n") if each.startswith("advice on unclear replies: "))
    assert {line.split(":")[0].strip() for line in paragraph.splitlines()[1:]} == set(names)
    assert "  ticket-missing: 'bet a 0.05 without ticket_id' gets HTTP 500, minwallet has code 2" in paragraph
    assert "left behind: nothing, all balances are unchanged" in result.out


def test_cases_without_a_token_are_skipped(cli: InProcessCli) -> None:
    """The lines before the count name the missing option and the number of cases. No wallet file is created."""
    with run_app(ReferenceWallet("vela")) as url:
        result = cli.run("conformance", url, *VELA, *only("bet", "bet-ticket-of-other-player", "bet-expired"))
    assert result.code == 0
    assert not cli.db.exists()
    *_, sums, left, ids = result.out.splitlines()
    assert " passed, 0 failed, 0 with advice, " in sums
    assert left == "left behind: nothing, all balances are unchanged"
    assert ids.startswith("used ids: ")
    skipped = [line for line in result.out.splitlines() if " skipped: give " in line]
    assert any(line.endswith(" skipped: give --second-token") for line in skipped)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["http://127.0.0.1:1", "--protocol", "x", "--token", "t"], f"unknown protocol 'x'; {USE}"),
        (["127.0.0.1:8000", *VELA], "write it like http://127.0.0.1:8000"),
        (["ftp://host", *VELA], "write it like http://127.0.0.1:8000"),
        (["http://host:99999999", *VELA], "invalid address 'http://host:99999999'"),
        (["http://127.0.0.1:1", *VELA, "--first-id", "-1"], "invalid --first-id -1: must be from 0 to"),
        (["http://127.0.0.1:1", *VELA, "--timeout", "0"], "invalid --timeout 0: must be more than 0"),
        (["http://127.0.0.1:1", *VELA, "--timeout", "nan"], "invalid --timeout nan: must be more than 0"),
        (["http://127.0.0.1:1", "--protocol", "vela", "--token", ""], "missing --token: give a live session"),
        (["http://127.0.0.1:1", "--token", "t"], f"missing --protocol: {USE}"),
        ([*VELA], "missing URL of the wallet: write it like http://127.0.0.1:8000"),
        (["http://127.0.0.1:1", *VELA, "--secret-file", "x"], "protocol 'vela' does not sign its calls"),
        (["http://127.0.0.1:1", *VELA, "--account", "token=alice"], "invalid --account 'token=alice': write it like"),
        (["http://127.0.0.1:1", *VELA, "--account", "other=alice/USD"], "with token, second, currency, blocked"),
        (["http://127.0.0.1:1", *VELA, "--path", "api"], "invalid --path 'api': write it like /api/wallet"),
        (["http://127.0.0.1:1", *VELA, "--unit", "0"], "invalid --unit '0': must be from 0.01 to 10000000.00"),
        (["http://127.0.0.1:1", *VELA, "--unit", "1,5"], "invalid amount '1,5'"),
        (["http://127.0.0.1:1", *VELA, "--only", "bet-retyr"], "unknown case 'bet-retyr'; did you mean bet-retry?"),
        (["http://127.0.0.1:1", *VELA, "--only", "zzz"], "unknown case 'zzz'; conformance --list shows all cases"),
    ],
)  # fmt: skip  # a table of mistakes
def test_invalid_values_are_usage_errors(cli: InProcessCli, words: list[str], complaint: str) -> None:
    """The error is one line with code 2, before any call."""
    assert_error_line(cli.run("conformance", *words), 2, complaint)


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
        result = cli.run("conformance", url, *WALLET_V2, *only("bet"), "--junit", tmp_path, "--json")
    assert result.code == 3
    assert json.loads(result.out)["ok"] is True
    assert f"the test is complete, but '{tmp_path}' cannot be written" in result.err
