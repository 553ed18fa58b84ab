"""Conditions, ids, tokens and leftovers of a conformance run."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from starlette.types import Receive, Scope, Send

from minwallet.conformance import list_tested_protocols, load_suite
from minwallet.conformance.amounts import All
from minwallet.conformance.balances import BalanceFault, SetupError, WalletUnreachable
from minwallet.conformance.client import MAX_CONCURRENT_REQUESTS, Client, parse_base_url
from minwallet.conformance.dsl import Case, must
from minwallet.conformance.junit import render_junit
from minwallet.conformance.report import describe_skips
from minwallet.conformance.runner import OpenBet, Runner
from minwallet.conformance.wallet_v2_requests import bet, negative
from minwallet.protocols.wire import HttpRequest
from tests.conformance import flaws
from tests.conformance.reference_wallet import BONUS, CASH, TOKENS, ReferenceWallet, run_app

FIRST_ID = 1_000

PROTOCOLS = ("vela", "wallet-v2")
"""minwallet's own protocols. Others may be installed too."""


@contextmanager
def connect_client(
    wallet: ReferenceWallet, *names: str, timeout_s: float = 5, wrong: Mapping[str, str] | None = None
) -> Iterator[Client]:
    """Yield a client of the wallet with the tokens of these names, some of which may be wrong."""
    tokens = {name: TOKENS[name] for name in ("token", *names)} | {"unknown": "nobody"} | dict(wrong or {})
    with (
        run_app(wallet) as url,
        Client(load_suite(wallet.protocol.name), f"{url}/", tokens, timeout_s) as asker,
    ):
        yield asker


def find_case(protocol: str, name: str) -> Case:
    return next(each for each in load_suite(protocol).cases if each.name == name)


def test_every_protocol_has_its_cases() -> None:
    """Each of minwallet's own protocols has a suite of the same name."""
    assert {*PROTOCOLS} <= {*list_tested_protocols()}
    for name in list_tested_protocols():
        assert load_suite(name).protocol.name == name


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_case_has_a_unique_name_a_rule_and_a_spec(protocol: str) -> None:
    """A rule is a sentence. A required case quotes the specification, and advice cites minwallet's contract."""
    cases = load_suite(protocol).cases
    assert len({each.name for each in cases}) == len(cases)
    for each in cases:
        assert each.rule.endswith(".")
        assert each.spec.startswith("minwallet's contract: " if each.is_advice else "“")
        if each.advice_check:
            assert each.advice_check.spec.startswith("minwallet's contract: ")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_case_whose_token_is_missing_is_skipped(protocol: str) -> None:
    """A skipped case names the missing option, does not pass, and sends nothing."""
    with connect_client(ReferenceWallet(protocol)) as asker:
        findings = list(Runner(asker, FIRST_ID, race_delays_s=(0,)).run(load_suite(protocol).cases))
    skipped = [finding for finding in findings if finding.verdict == "skipped"]
    assert {finding.verdict for finding in findings} == {"pass", "skipped"}
    assert all(finding.received.startswith("give --") and not finding.sent for finding in skipped)
    given = {finding.received for finding in skipped}
    expected = {f"give --{name}-token" for name in TOKENS if name != "token"}
    assert given == expected - ({"give --wallet-token"} if protocol == "vela" else set())


def test_ids_begin_at_first_id() -> None:
    """A run can be repeated exactly on a new wallet."""
    with connect_client(ReferenceWallet("wallet-v2")) as asker:
        trial = Runner(asker, FIRST_ID)
        (finding,) = trial.run([find_case("wallet-v2", "cancel")])
        assert trial.collect_leftovers().used_ids == (FIRST_ID, FIRST_ID)
    assert ['"id":1000' in sent for sent in finding.sent] == [True, True]


def test_a_wallet_whose_ids_are_floats_fails_the_case_of_large_ids() -> None:
    """The ids of other cases are small, so the wallet passes them."""
    with connect_client(flaws.IdsAsFloats("wallet-v2")) as asker:
        names = ("bet-retry", "bets-at-once", "bet-id-last-bit")
        findings = list(Runner(asker, FIRST_ID).run(find_case("wallet-v2", name) for name in names))
    assert [each.name for each in findings if each.verdict != "pass"] == ["bet-id-last-bit"]


def test_a_case_without_ids_uses_none() -> None:
    """The leftovers name no ids then."""
    with connect_client(ReferenceWallet("wallet-v2")) as asker:
        trial = Runner(asker, FIRST_ID)
        list(trial.run([find_case("wallet-v2", "credit-names-player")]))
        assert trial.collect_leftovers().used_ids is None


def test_a_field_can_repeat_another_one() -> None:
    """A cancel with round_id names the round of its bet."""
    with connect_client(ReferenceWallet("wallet-v2")) as asker:
        (finding,) = Runner(asker, FIRST_ID).run([find_case("wallet-v2", "cancel-with-round")])
    assert '"id": 1000, "round_id": 1000' in finding.sent[1]


def test_tokens_are_redacted_in_results() -> None:
    """Neither requests nor answers in a result contain a token."""
    with connect_client(ReferenceWallet("wallet-v2"), "second") as asker:
        findings = list(Runner(asker, FIRST_ID).run([find_case("wallet-v2", "bet-id-of-other-player")]))
    assert "{second}" in findings[0].sent[1]
    assert not any(token in str(findings) for token in (TOKENS["token"], TOKENS["second"]))


def test_tokens_echoed_by_the_wallet_are_redacted() -> None:
    """A token in a reply is redacted in the summary and in the reply."""
    with connect_client(flaws.LeaksTokens("vela")) as asker:
        (finding,) = Runner(asker, FIRST_ID).run([find_case("vela", "authenticate-names-member")])
    assert finding.verdict == "fail"
    assert "['alice', '{token}']" in finding.received
    assert TOKENS["token"] not in str(finding)


def test_an_unrecoverable_balance_change_is_reported() -> None:
    """A wallet that takes a bet twice returns it once, and no win can restore the difference."""
    with connect_client(flaws.DebitsRetriedBets("wallet-v2")) as asker:
        trial = Runner(asker, FIRST_ID)
        list(trial.run([find_case("wallet-v2", "bet-retry")]))
        assert trial.collect_leftovers().balance_changes == {"token": -5}
        assert trial.collect_leftovers().open_bets == ()
        assert sum(trial.balances.read("token")) == CASH + BONUS - 5


def test_a_case_whose_money_is_missing_is_not_run() -> None:
    """It is skipped with the name of the case that lost the money."""
    with connect_client(flaws.CancelsReturnNothing("wallet-v2", cash=24)) as asker:
        trial = Runner(asker, FIRST_ID, unit=3)
        findings = list(trial.run(find_case("wallet-v2", name) for name in ("bet", "bet-retry", "bet-over-credit")))
        assert trial.collect_leftovers().faults == (BalanceFault("bet", "token", -15),)
    assert [(each.name, each.verdict) for each in findings] == [
        ("bet", "pass"),
        ("bet-retry", "skipped"),
        ("bet-retry/answer", "skipped"),
        ("bet-over-credit", "skipped"),
        ("bet-over-credit/code", "skipped"),
    ]
    reason = "not run: --token has 0.59 and the case needs 0.60; money is missing since the case bet"
    assert {each.received for each in findings[1:]} == {reason}
    assert not any(each.sent for each in findings[1:])


def test_a_wallet_that_fails_fails_one_case() -> None:
    """The first case without a balance fails, and the others are skipped with its name until the wallet answers."""
    double = ReferenceWallet("wallet-v2")
    with connect_client(double) as asker:
        trial = Runner(asker, FIRST_ID)
        double.__class__ = flaws.AlwaysFails
        (first, *_), (second, *_) = ([*trial.run([find_case("wallet-v2", name)])] for name in ("bet", "bet-retry"))
        assert (first.verdict, second.verdict) == ("fail", "skipped")
        assert second.received == "not run: no balance can be read since the case bet"
        double.__class__ = ReferenceWallet
        assert [each.verdict for each in trial.run([find_case("wallet-v2", "bet")])] == ["pass"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_cases_with_the_whole_balance_are_the_last(protocol: str) -> None:
    """A wallet that loses the whole balance fails no case that needs less."""
    stakes = [
        any(isinstance(amount, All) for step in case.steps for each in step.requests for amount in each.amounts)
        for case in load_suite(protocol).cases
    ]
    *others, over_range, bet_fraction, win_fraction = load_suite(protocol).cases
    assert [each.name.partition("-")[2] for each in (over_range, bet_fraction, win_fraction)] == [
        *("over-range", "fraction", "fraction")
    ]
    first = stakes.index(True)
    assert all(stakes[first : len(others)])
    assert not any(stakes[len(others) :])


def test_an_uncancelled_bet_is_reported() -> None:
    """Its case and its id are in the leftovers."""
    with connect_client(flaws.AcceptsUnfundedBets("vela")) as asker:
        trial = Runner(asker, FIRST_ID)
        list(trial.run([find_case("vela", "bet-over-balance")]))
        assert trial.collect_leftovers().open_bets == (OpenBet("bet-over-balance", str(FIRST_ID)),)


def test_a_wallet_that_does_not_answer_in_time_fails() -> None:
    """The case names the timeout, and the bet is cancelled."""
    with connect_client(flaws.NeverAnswersBets("wallet-v2"), timeout_s=0.2) as asker:
        trial = Runner(asker, FIRST_ID)
        (finding,) = trial.run([find_case("wallet-v2", "bet")])
        assert (finding.verdict, finding.received) == ("fail", "no complete reply within 0.2 s, balance 0.05 lower")
        assert trial.collect_leftovers().balance_changes == {"token": 0}


def test_an_unreadable_balance_fails_the_case() -> None:
    """A wallet that starts to fail during a case fails it, and its balance change is unknown."""
    double = ReferenceWallet("vela")
    with connect_client(double) as asker:
        trial = Runner(asker, FIRST_ID)
        double.__class__ = flaws.AlwaysFails
        (finding,) = trial.run([find_case("vela", "bet")])
        assert (finding.verdict, finding.received) == ("fail", "no balance: HTTP 500")
        assert trial.collect_leftovers().balance_changes == {"token": None}


@pytest.mark.parametrize(
    ("double", "tokens", "words"),
    [
        (flaws.AlwaysFails("vela"), {}, "no balance for --token, so no case was run: HTTP 500 Internal Server Error"),
        (ReferenceWallet("vela"), {"token": "nobody_at_all"}, "no balance for --token, so no case was run: HTTP 200"),
        (ReferenceWallet("vela"), {"second": "alices_session"}, "--second-token must belong to another player"),
        (ReferenceWallet("vela"), {"second": "alices_euro_session"}, "--second-token must belong to another player"),
        (ReferenceWallet("vela"), {"expired": "bobs_session"}, "--expired-token must belong to the player and the"),
        (ReferenceWallet("vela"), {"revoked": "alices_euro_session"}, "--revoked-token must belong to the player"),
        (
            ReferenceWallet("wallet-v2"),
            {"currency": "alices_session"},
            "--currency-token must belong to the same",
        ),
        (ReferenceWallet("wallet-v2"), {"currency": "bobs_session"}, "--currency-token must belong to the same"),
    ],
)
def test_unsuitable_tokens_are_rejected_before_the_first_case(
    double: ReferenceWallet, tokens: dict[str, str], words: str
) -> None:
    """The error is one line without a token."""
    with connect_client(double, wrong=tokens) as asker, pytest.raises(SetupError) as refused:
        Runner(asker, FIRST_ID)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(words)
    assert not any(token in line for token in tokens.values())


def test_a_player_with_too_little_money_is_rejected() -> None:
    """Cases would fail for lack of money and show nothing about the wallet."""
    double = ReferenceWallet("wallet-v2")
    with connect_client(double) as asker:
        asker.send(
            [HttpRequest("POST", "/wallet", body=b'{"type":"bet","id":1,"bet":10031,"game":1,"code":"alices_session"}')]
        )
        with pytest.raises(SetupError, match=r"--token has 0\.19; the cases need 0\.20"):
            Runner(asker, FIRST_ID)


def test_an_unreachable_wallet_raises_its_own_error() -> None:
    """A closed port raises another error than a faulty wallet."""
    with run_app(ReferenceWallet("vela")) as url:
        pass
    with (
        Client(load_suite("vela"), url, {"token": "t", "unknown": "u"}, 5) as asker,
        pytest.raises(WalletUnreachable, match=f"{url}: no reply: .*is that the wallet's address"),
    ):
        Runner(asker, FIRST_ID)


@pytest.mark.parametrize(
    "text", ["", "localhost", "localhost:8000", "ftp://host", "http://", "http://a b", "http://h?q"]
)
def test_a_base_url_must_be_http(text: str) -> None:
    """Any other URL raises ValueError."""
    with pytest.raises(ValueError, match="invalid address"):
        parse_base_url(text)


def test_a_base_url_may_have_a_path() -> None:
    """A callback key is an example."""
    assert parse_base_url("https://wallet.example.com/key/") == "https://wallet.example.com/key"


@pytest.mark.parametrize(
    ("token", "text", "shown"),
    [
        ("t", "Connection refused for access_token=t&game=t_1", "Connection refused for access_token={token}&game=t_1"),
        ("a+b", "code=a%2Bb or a+b", "code={token} or {token}"),
        ("alices_session", "xalices_sessionx", "x{token}x"),
    ],
)
def test_a_short_token_is_redacted_only_as_a_whole_word(token: str, text: str, shown: str) -> None:
    """A long one is redacted inside of words too."""
    with Client(load_suite("vela"), "http://127.0.0.1:1", {"token": token}, 5) as asker:
        assert asker.sanitize(text) == shown


def test_a_race_is_tried_several_times() -> None:
    """Each try has new ids, and the first failure ends the case."""
    with connect_client(flaws.DebitsThirdRace("wallet-v2")) as asker:
        trial = Runner(asker, FIRST_ID)
        (finding,) = trial.run([find_case("wallet-v2", "same-bet-at-once")])
        assert (finding.verdict, finding.received) == ("fail", "all 8 accepted, balance 0.40 lower")
        assert finding.labels[0] == "sent at once (1 of 8)"
        assert trial.collect_leftovers().used_ids == (FIRST_ID, FIRST_ID + 2)


def test_concurrent_requests_use_open_connections() -> None:
    """Balance queries open the connections, so the requests arrive together."""
    ports: list[int] = []
    paths: list[str] = []
    wallet = ReferenceWallet("vela")

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ports.append(scope["client"][1])
        paths.append(scope["path"])
        await wallet(scope, receive, send)

    with run_app(app) as url, Client(load_suite("vela"), url, TOKENS | {"unknown": "u"}, 5) as asker:
        list(Runner(asker, FIRST_ID, race_delays_s=(0,)).run([find_case("vela", "bets-at-once")]))
    first = paths.index("/api/bet")
    assert len({*ports[first : first + MAX_CONCURRENT_REQUESTS]}) == MAX_CONCURRENT_REQUESTS
    assert {*ports[first:]} <= {*ports[:first]}


def test_a_bug_of_the_kit_loses_no_results() -> None:
    """The case has the result `error` with the exception, and the next case runs."""
    broken = must("broken", "A rule.", "A sentence.", bet("a", 5).with_fields(no_such_field=negative).accepted())
    with connect_client(ReferenceWallet("wallet-v2")) as asker:
        first, second = Runner(asker, FIRST_ID).run([broken, find_case("wallet-v2", "bet")])
    assert (first.verdict, second.verdict) == ("error", "pass")
    assert first.received == "KeyError('no_such_field')"
    (line,) = describe_skips([first, second])
    assert line.startswith("broken was not judged because of a bug in minwallet: KeyError(")
    assert 'errors="1"' in render_junit("wallet-v2", [first, second]).decode()


def test_a_request_after_a_server_error_has_a_new_connection() -> None:
    """The server may be about to close the old one."""
    ports: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ports.append(scope["client"][1])
        await send({"type": "http.response.start", "status": 500 if len(ports) == 2 else 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    with run_app(app) as url, Client(load_suite("vela"), url, {}, 5) as asker:
        for _ in range(3):
            asker.send([HttpRequest("GET", "/api/bet")])
    assert ports[0] == ports[1] != ports[2]


def test_only_a_balance_query_is_repeated_after_a_lost_connection() -> None:
    """It moves no money. A lost bet has no reply, and is not sent again."""
    paths: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        paths.append(scope["path"])
        if len(paths) in (1, 3):
            # A reply that ends too early: the server closes the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    query, bet_request = HttpRequest("GET", "/api/user/authenticate"), HttpRequest("GET", "/api/bet")
    with run_app(app) as url, Client(load_suite("vela"), url, {}, 5) as asker:
        assert asker.query(query).status == 200
        (lost,) = asker.send([bet_request])
    assert lost.summary.startswith("no reply: ")
    assert paths == [query.path, query.path, bet_request.path]


def test_concurrent_requests_are_sent_together() -> None:
    """Eight requests arrive before the first is answered."""
    barrier = asyncio.Barrier(MAX_CONCURRENT_REQUESTS)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async with barrier:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    with run_app(app) as url, Client(load_suite("vela"), url, {}, 5) as asker:
        answers = asker.send([HttpRequest("GET", "/api/bet")] * MAX_CONCURRENT_REQUESTS)
    assert [answer.status for answer in answers] == [200] * MAX_CONCURRENT_REQUESTS
