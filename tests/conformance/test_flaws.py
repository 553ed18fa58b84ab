"""Results of the conformance kit: a faulty wallet fails exactly the cases of its flaw. Rules of minwallet alone are
advice."""

from xml.etree import ElementTree

import pytest

from minwallet.conformance import load_suite
from minwallet.conformance.client import Client
from minwallet.conformance.junit import render_junit
from minwallet.conformance.runner import CaseResult, Leftovers, Runner
from tests.conformance import flaws
from tests.conformance.reference_wallet import TOKENS, ReferenceWallet, run_app

pytestmark = pytest.mark.long

V2, VELA = "wallet-v2", "vela"

FIRST_ID = 1_000

OTHER_METHODS = "no-head no-put no-patch no-delete"
ALL_LENIENT = "bet-as-text bet-as-float bet-true win-as-text win-true id-as-text id-true id-fraction"


def run_all_cases(wallet: ReferenceWallet) -> tuple[list[CaseResult], Leftovers]:
    """Run every case with every token, and return the results and what is left in the wallet."""
    name = wallet.protocol.name
    dialect = load_suite(name)
    with run_app(wallet) as url, Client(dialect, url, TOKENS | {"unknown": "nobody"}, 5) as asker:
        # One try of each race is enough for these flaws, and five take long.
        trial = Runner(asker, FIRST_ID, race_delays_s=(0,))
        return list(trial.run(dialect.cases)), trial.collect_leftovers()


@pytest.mark.parametrize("protocol", [V2, VELA])
def test_the_reference_wallet_passes(protocol: str) -> None:
    """No case fails, gives advice or is skipped, and all balances are restored."""
    findings, left = run_all_cases(ReferenceWallet(protocol))
    assert [finding for finding in findings if finding.verdict != "pass"] == []
    assert set(left.balance_changes.values()) == {0}
    assert left.open_bets == ()


@pytest.mark.parametrize(
    ("flaw", "protocol", "fails", "advised"),
    [
        (flaws.DebitsRetriedBets, V2, "bet-retry same-bet-at-once",
         "bet-retry-tells-credit bet-retry-expired bet-retry-revoked"),
        (flaws.DebitsRetriedBets, VELA, "bet-retry same-bet-at-once",
         "bet-retry-tells-balance bet-retry-expired bet-retry-revoked"),
        (flaws.CreditsRetries, V2, "win-retry same-win-at-once cancel-retry same-cancel-at-once",
         "win-retry-tells-credit cancel-retry-tells-credit"),
        (flaws.CreditsRetries, VELA, "result-retry same-result-at-once refund-retry same-refund-at-once"
         " betwin-retry same-betwin-at-once", ""),
        (flaws.NoTombstones, V2, "bet-after-cancel", "cancel-of-refused-bet/code win-id-after-cancel"),
        (flaws.NoTombstones, VELA, "bet-after-refund", ""),
        (flaws.IdsOf63Bits, V2, "bet-id-64-bit", ""),
        (flaws.IdsOf63Bits, VELA, "ticket-64-bit", ""),
        (flaws.IdsPerPlayer, V2, "bet-id-of-other-player win-id-of-other-player", "cancel-by-other-player/code"),
        (flaws.IdsPerPlayer, VELA, "bet-ticket-of-other-player", ""),
        (flaws.IdsAcrossCurrencies, V2, "bet-id-per-currency", ""),
        (flaws.StaleBalances, V2, "bet-tells-credit win-tells-credit cancel-tells-credit", ""),
        (flaws.StaleBalances, VELA, "bet-tells-balance result-tells-balance refund-tells-balance betwin-tells-balance",
         "bet-of-all/parts"),
        (flaws.LaxResponses, V2, "credit-is-whole-cents refusal-has-words", "no-store"),
        (flaws.LaxResponses, VELA, "balance-is-whole-cents balance2-is-whole-cents refusal-has-words", "no-store"),
        (flaws.AcceptsAnyMethod, V2, f"no-get {OTHER_METHODS}", ""),
        (flaws.AcceptsAnyMethod, VELA, f"no-post {OTHER_METHODS}", ""),
        (flaws.LenientNumbers, V2, "bet-fraction win-fraction", ALL_LENIENT),
        (flaws.LenientNumbers, VELA, "", "bet-with-plus bet-with-space bet-with-underscore bet-in-wide-digits"
         " bet-with-21-digits bet-twice ticket-twice"),
        (flaws.AcceptsNegativeBets, V2, "bet-negative", ""),
        (flaws.AcceptsNegativeBets, VELA, "bet-negative", ""),
        (flaws.AcceptsUnfundedBets, V2, "bet-over-credit all-twice-at-once", "bet-refused-stays-refused"),
        (flaws.AcceptsUnfundedBets, VELA, "bet-over-balance betwin-over-balance all-twice-at-once",
         "betwin-of-its-own-win"),
        (flaws.PaysRefundedBets, VELA, "result-of-nothing-known result-of-refused-bet result-after-refund"
         " result-by-other-player result-of-betwin", ""),
        (flaws.RefundsSettledBets, V2, "", "cancel-after-win cancel-one-of-two-after-win"),
        (flaws.RefundsSettledBets, VELA, "refund-after-result", ""),
        (flaws.RefusesEndedSessions, V2, "win-expired win-revoked",
         "credit-expired/code bet-expired/code bet-retry-expired cancel-expired bet-retry-revoked cancel-revoked"),
        (flaws.RefusesEndedSessions, VELA, "", "bet-retry-expired result-expired refund-expired"
         " bet-retry-revoked result-revoked refund-revoked"),
        (flaws.RefusesUnknownCancels, V2, "cancel-of-nothing cancel-of-refused-bet", ""),
        (flaws.AcceptsBetsOfSpentMoney, V2, "all-twice-at-once", ""),
        (flaws.RightMoneyOwnAnswers, V2, "cancel-retry",
         "win-of-unknown-round bet-after-cancel/code bet-retry-after-cancel/code cancel-of-refused-bet/code"
         " same-cancel-at-once/answer cancel-retry-tells-credit"),
    ],
)  # fmt: skip  # a table of wallets and failed cases
def test_a_faulty_wallet_fails_exactly_its_cases(
    flaw: type[ReferenceWallet], protocol: str, fails: str, advised: str
) -> None:
    """These cases report the flaw, and no others."""
    findings, _ = run_all_cases(flaw(protocol))
    verdicts = {finding.name: finding.verdict for finding in findings}
    failed = {name for name, verdict in verdicts.items() if verdict == "fail"}
    assert failed - flaw.flaky_cases == set(fails.split())
    assert {name for name, verdict in verdicts.items() if verdict == "advice"} == set(advised.split())
    # A case that begins with steps that failed before is skipped.
    reasons = {f"not run: it begins like the case {name}, which failed" for name in failed}
    assert {each.received for each in findings if each.verdict == "skipped"} <= reasons


@pytest.mark.parametrize(("flaw", "protocol"), [(flaws.FailsOnBets, V2), (flaws.AnswersBetsWithHtml, VELA)])
def test_bets_without_a_proper_answer_fail(flaw: type[flaws.FailsOnBets], protocol: str) -> None:
    """The case `bet` fails and names the answer, and the cases that begin with a bet are not run. Others pass."""
    findings, left = run_all_cases(flaw(protocol))
    came = {each.name: (each.verdict, each.received) for each in findings}
    words = "HTTP 500" if flaw is flaws.FailsOnBets else "not a JSON object"
    assert came["bet"] == ("fail", f"{words}, balance 0.05 lower")
    assert {verdict for verdict, what in came.values() if what.startswith(words)} == {"fail"}
    assert came["same-bet-at-once"] == ("skipped", "not run: it needs a bet, and the case bet failed")
    assert {came[name][0] for name in ("refusal-has-words", "no-store")} == {"pass"}
    assert set(left.balance_changes.values()) == {0}
    # A page of a foreign wallet is escaped before it reaches a terminal, and its tokens are redacted.
    assert all(each.isprintable() for finding in findings for each in (finding.answer, finding.received))
    assert ElementTree.fromstring(render_junit(protocol, findings)).find("testsuite") is not None
    assert not any("alices_session" in str(finding) for finding in findings)
