"""How a trial begins, what it needs, what it leaves."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from starlette.types import Receive, Scope, Send

from minwallet.conformance import DIALECTS, load_dialect
from minwallet.conformance.asker import MOST_AT_ONCE, Asker, base_url
from minwallet.conformance.script import Case
from minwallet.conformance.trial import CannotBegin, Trial, Unreachable
from minwallet.protocols.registry import PROTOCOLS
from minwallet.protocols.wire import HttpRequest
from tests.conformance import flaws
from tests.conformance.double import BONUS, CASH, TOKENS, Double, running

FIRST_ID = 1_000


@contextmanager
def asking(
    double: Double, *names: str, timeout_s: float = 5, wrong: Mapping[str, str] | None = None
) -> Iterator[Asker]:
    """The double, asked with the tokens of these names, and with wrong ones."""
    given = {name: TOKENS[name] for name in ("token", *names)} | {"unknown": "nobody"} | dict(wrong or {})
    with (
        running(double) as url,
        Asker(load_dialect(double.protocol.name), f"{url}/", given, timeout_s) as asker,
    ):
        yield asker


def case(protocol: str, name: str) -> Case:
    return next(each for each in load_dialect(protocol).cases if each.name == name)


def test_every_protocol_has_its_cases() -> None:
    """A protocol that minwallet speaks can be tried, under the same name."""
    assert set(DIALECTS) == set(PROTOCOLS)
    for name in DIALECTS:
        assert load_dialect(name).protocol.name == name


@pytest.mark.parametrize("protocol", DIALECTS)
def test_a_case_has_a_name_of_its_own_a_rule_and_a_reason(protocol: str) -> None:
    """A must quotes the specification, anything else names the contract; rules are sentences."""
    cases = load_dialect(protocol).cases
    assert len({each.name for each in cases}) == len(cases)
    for each in cases:
        assert each.rule.endswith(".")
        assert each.spec.startswith("minwallet's contract: " if each.is_advice else "“")
        if each.advised:
            assert each.advised.because.startswith("minwallet's contract: ")


@pytest.mark.parametrize("protocol", DIALECTS)
def test_a_case_whose_token_is_missing_is_skipped(protocol: str) -> None:
    """It says what to give, is never passed, and sends nothing."""
    with asking(Double(protocol)) as asker:
        findings = list(Trial(asker, FIRST_ID).run(load_dialect(protocol).cases))
    skipped = [finding for finding in findings if finding.verdict == "skipped"]
    assert {finding.verdict for finding in findings} == {"pass", "skipped"}
    assert all(finding.came.startswith("give --") and not finding.sent for finding in skipped)
    given = {finding.came for finding in skipped}
    expected = {f"give --{name}-token" for name in TOKENS if name != "token"}
    assert given == expected - ({"give --wallet-token"} if protocol == "vela" else set())


def test_ids_begin_where_they_are_told() -> None:
    """So that a trial can be repeated on a fresh wallet to the letter."""
    with asking(Double("wallet-v2")) as asker:
        trial = Trial(asker, FIRST_ID)
        (finding,) = trial.run([case("wallet-v2", "cancel")])
        assert trial.left().ids == (FIRST_ID, FIRST_ID)
    assert ['"id":1000' in sent for sent in finding.sent] == [True, True]


def test_tokens_are_shown_as_their_names() -> None:
    """Neither what was sent nor what came has a token in the clear."""
    with asking(Double("wallet-v2"), "second") as asker:
        findings = list(Trial(asker, FIRST_ID).run([case("wallet-v2", "bet-id-of-other-player")]))
    assert "{second}" in findings[0].sent[1]
    assert not any(token in str(findings) for token in (TOKENS["token"], TOKENS["second"]))


def test_a_token_that_a_wallet_repeats_is_not_shown_either() -> None:
    """Not in what came, and not in the answer as it was written."""
    with asking(flaws.Indiscreet("vela")) as asker:
        (finding,) = Trial(asker, FIRST_ID).run([case("vela", "authenticate-names-member")])
    assert finding.verdict == "fail"
    assert "['alice', '{token}']" in finding.came
    assert TOKENS["token"] not in str(finding)


def test_what_cannot_be_taken_back_is_told() -> None:
    """A wallet that takes a bet twice gives it back once; no win makes that good."""
    with asking(flaws.BetsCountAgain("wallet-v2")) as asker:
        trial = Trial(asker, FIRST_ID)
        list(trial.run([case("wallet-v2", "bet-retry")]))
        assert trial.left().change == {"token": -5}
        assert trial.left().open == ()
        assert sum(trial.balance("token")) == CASH + BONUS - 5


def test_a_bet_that_cannot_be_called_off_is_named() -> None:
    """Its id is in what is left."""
    with asking(flaws.YesToEverything("vela")) as asker:
        trial = Trial(asker, FIRST_ID)
        list(trial.run([case("vela", "bet-over-balance")]))
        assert trial.left().open == (str(FIRST_ID),)


def test_a_wallet_that_does_not_answer_in_time_fails() -> None:
    """The case says so, and what the silent wallet took is called off."""
    with asking(flaws.Silent("wallet-v2"), timeout_s=0.2) as asker:
        trial = Trial(asker, FIRST_ID)
        (finding,) = trial.run([case("wallet-v2", "bet")])
        assert (finding.verdict, finding.came) == ("fail", "no answer within 0.2 s, -0.05")
        assert trial.left().change == {"token": 0}


def test_a_balance_that_cannot_be_read_any_more_fails_the_case() -> None:
    """A wallet that breaks in the middle is a failure, and what it leaves is unknown."""
    double = Double("vela")
    with asking(double) as asker:
        trial = Trial(asker, FIRST_ID)
        double.__class__ = flaws.Down
        (finding,) = trial.run([case("vela", "bet")])
        assert (finding.verdict, finding.came) == ("fail", "no balance: HTTP 500")
        assert trial.left().change == {"token": None}


@pytest.mark.parametrize(
    ("double", "tokens", "words"),
    [
        (flaws.Down("vela"), {}, "no balance for --token, so nothing was tried: HTTP 500 Internal Server Error"),
        (Double("vela"), {"token": "nobody_at_all"}, "no balance for --token, so nothing was tried: HTTP 200"),
        (Double("vela"), {"second": "alices_session"}, "--second-token has to be of another player"),
        (Double("vela"), {"second": "alices_euro_session"}, "--second-token has to be of another player"),
        (Double("wallet-v2"), {"currency": "alices_session"}, "--currency-token has to be of the same player"),
        (Double("wallet-v2"), {"currency": "bobs_session"}, "--currency-token has to be of the same player"),
    ],
)
def test_tokens_that_will_not_do_are_refused_before_anything_is_tried(
    double: Double, tokens: dict[str, str], words: str
) -> None:
    """In one line, which has no token in it."""
    with asking(double, wrong=tokens) as asker, pytest.raises(CannotBegin) as refused:
        Trial(asker, FIRST_ID)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(words)
    assert not any(token in line for token in tokens.values())


def test_a_player_with_too_little_money_is_refused() -> None:
    """The cases would fail for want of it, and tell nothing."""
    double = Double("wallet-v2")
    with asking(double) as asker:
        asker.send(
            [HttpRequest("POST", "/wallet", body=b'{"type":"bet","id":1,"bet":10031,"game":1,"code":"alices_session"}')]
        )
        with pytest.raises(CannotBegin, match=r"--token has 0\.19, but the cases need 0\.20"):
            Trial(asker, FIRST_ID)


def test_nobody_there_is_another_matter() -> None:
    """An address at which nobody listens is told apart from a wallet that is wrong."""
    with running(Double("vela")) as url:
        pass
    with (
        Asker(load_dialect("vela"), url, {"token": "t", "unknown": "u"}, 5) as asker,
        pytest.raises(Unreachable, match=f"{url}: no answer: .*is that the wallet's address"),
    ):
        Trial(asker, FIRST_ID)


@pytest.mark.parametrize(
    "text", ["", "localhost", "localhost:8000", "ftp://host", "http://", "http://a b", "http://h?q"]
)
def test_an_address_is_http(text: str) -> None:
    """Anything else is a mistake, which is explained."""
    with pytest.raises(ValueError, match="is not an address"):
        base_url(text)


def test_a_path_belongs_to_the_address() -> None:
    """A callback key, for one."""
    assert base_url("https://wallet.example.com/key/") == "https://wallet.example.com/key"


def test_at_once_is_at_once() -> None:
    """Eight requests are all on their way before the first is answered."""
    everybody = asyncio.Barrier(MOST_AT_ONCE)

    async def meet(scope: Scope, receive: Receive, send: Send) -> None:
        async with everybody:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"{}"})

    with running(meet) as url, Asker(load_dialect("vela"), url, {}, 5) as asker:
        answers = asker.send([HttpRequest("GET", "/api/bet")] * MOST_AT_ONCE)
    assert [answer.status for answer in answers] == [200] * MOST_AT_ONCE
