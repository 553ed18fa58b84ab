"""A wrong wallet fails exactly the cases it should; whatever is only minwallet's own way is advice."""

from xml.etree import ElementTree

import pytest

from minwallet.conformance import load_dialect
from minwallet.conformance.asker import Asker
from minwallet.conformance.junit import to_junit
from minwallet.conformance.trial import Finding, Left, Trial
from tests.conformance import flaws
from tests.conformance.double import TOKENS, Double, running

pytestmark = pytest.mark.long

V2, VELA = "wallet-v2", "vela"

FIRST_ID = 1_000

OTHER_METHODS = "no-head no-put no-patch no-delete"
ALL_LENIENT = "bet-as-text bet-as-float bet-true win-as-text win-true id-as-text id-true id-fraction"


def try_all(double: Double) -> tuple[list[Finding], Left]:
    """What comes of every case, with every token given."""
    name = double.protocol.name
    dialect = load_dialect(name)
    with running(double) as url, Asker(dialect, url, TOKENS | {"unknown": "nobody"}, 5) as asker:
        trial = Trial(asker, FIRST_ID)
        return list(trial.run(dialect.cases)), trial.left()


@pytest.mark.parametrize("protocol", [V2, VELA])
def test_a_right_wallet_passes(protocol: str) -> None:
    """Nothing fails, nothing is advised or skipped, and the money is as it was."""
    findings, left = try_all(Double(protocol))
    assert [finding for finding in findings if finding.verdict != "pass"] == []
    assert set(left.change.values()) == {0}
    assert left.open == ()


@pytest.mark.parametrize(
    ("flaw", "protocol", "fails", "advised"),
    [
        (flaws.BetsCountAgain, V2, "bet-retry same-bet-at-once",
         "bet-retry-tells-credit bet-retry-expired bet-retry-revoked"),
        (flaws.BetsCountAgain, VELA, "bet-retry same-bet-at-once",
         "bet-retry-tells-balance bet-retry-expired bet-retry-revoked"),
        (flaws.PaysAgain, V2, "win-retry same-win-at-once cancel-retry same-cancel-at-once",
         "win-retry-tells-credit cancel-retry-tells-credit"),
        (flaws.PaysAgain, VELA, "result-retry same-result-at-once refund-retry same-refund-at-once"
         " betwin-retry same-betwin-at-once", ""),
        (flaws.NoTombstones, V2, "bet-after-cancel", "cancel-of-refused-bet/code win-id-after-cancel"),
        (flaws.NoTombstones, VELA, "bet-after-refund", ""),
        (flaws.IdsOf63Bits, V2, "bet-id-64-bit", ""),
        (flaws.IdsOf63Bits, VELA, "ticket-64-bit", ""),
        (flaws.IdsPerPlayer, V2, "bet-id-of-other-player win-id-of-other-player", "cancel-by-other-player/code"),
        (flaws.IdsPerPlayer, VELA, "bet-ticket-of-other-player", ""),
        (flaws.IdsOfAllCurrencies, V2, "bet-id-per-currency", ""),
        (flaws.OldBalances, V2, "bet-tells-credit win-tells-credit cancel-tells-credit", ""),
        (flaws.OldBalances, VELA, "bet-tells-balance result-tells-balance refund-tells-balance betwin-tells-balance",
         "bet-of-all/parts"),
        (flaws.Careless, V2, "credit-is-whole-cents refusal-has-words", "no-store"),
        (flaws.Careless, VELA, "balance-is-whole-cents balance2-is-whole-cents refusal-has-words", "no-store"),
        (flaws.AnyMethod, V2, f"no-get {OTHER_METHODS}", ""),
        (flaws.AnyMethod, VELA, f"no-post {OTHER_METHODS}", ""),
        (flaws.LenientNumbers, V2, "bet-fraction win-fraction", ALL_LENIENT),
        (flaws.LenientNumbers, VELA, "", "bet-with-plus bet-with-space bet-with-underscore bet-in-wide-digits"
         " bet-with-21-digits bet-twice ticket-twice"),
        (flaws.NegativeBets, V2, "bet-negative", ""),
        (flaws.NegativeBets, VELA, "bet-negative", ""),
        (flaws.YesToEverything, V2, "bet-over-credit cancel-of-refused-bet",
         "refusal-tells-credit bet-refused-stays-refused"),
        (flaws.YesToEverything, VELA,
         "bet-over-balance betwin-over-balance result-of-refused-bet refund-of-refused-bet",
         "refusal-tells-balance bet-refused-stays-refused betwin-of-its-own-win"),
        (flaws.PaysWhatIsRefunded, VELA, "result-of-nothing-known result-of-refused-bet result-after-refund"
         " result-by-other-player result-of-betwin", ""),
        (flaws.RefundsWhatIsSettled, V2, "", "cancel-after-win"),
        (flaws.RefundsWhatIsSettled, VELA, "refund-after-result", ""),
        (flaws.NothingAfterTheSession, V2, "win-expired win-revoked",
         "credit-expired bet-expired bet-retry-expired cancel-expired bet-retry-revoked cancel-revoked"),
        (flaws.NothingAfterTheSession, VELA, "", "bet-retry-expired result-expired refund-expired"
         " bet-retry-revoked result-revoked refund-revoked"),
        (flaws.UnknownCancelsRefused, V2, "cancel-of-nothing cancel-of-refused-bet", ""),
    ],
)  # fmt: skip  # a table of wallets and what they fail
def test_a_wrong_wallet_fails_what_it_should(flaw: type[Double], protocol: str, fails: str, advised: str) -> None:
    """Each flaw is found by these cases, and by no others."""
    findings, _ = try_all(flaw(protocol))
    verdicts = {finding.name: finding.verdict for finding in findings}
    failed = {name for name, verdict in verdicts.items() if verdict == "fail"}
    assert failed - flaw.by_luck == set(fails.split())
    assert {name for name, verdict in verdicts.items() if verdict == "advice"} == set(advised.split())
    # What is advised about a case that failed is not judged.
    assert {name.partition("/")[0] for name in verdicts if verdicts[name] == "skipped"} <= set(fails.split())


@pytest.mark.parametrize(("flaw", "protocol"), [(flaws.Broken, V2), (flaws.Chatty, VELA)])
def test_bets_without_a_proper_answer_fail(flaw: type[flaws.Broken], protocol: str) -> None:
    """Every case that needs a bet fails for it, and says what came instead; the others pass, and the money is back."""
    findings, left = try_all(flaw(protocol))
    came = {each.name: (each.verdict, each.came) for each in findings if not each.expected.startswith("any answer")}
    words = "HTTP 500" if flaw is flaws.Broken else "not a JSON object"
    assert came["bet"] == ("fail", f"{words}, -0.05")
    assert {verdict for verdict, what in came.values() if what.startswith(words)} == {"fail", "advice"}
    assert {came[name][0] for name in ("refusal-has-words", "no-store")} == {"pass"}
    assert set(left.change.values()) == {0}
    # A page from a stranger does not reach a terminal as it is, nor does a token that is in it.
    assert all(each.isprintable() for finding in findings for each in (finding.answer, finding.came))
    assert ElementTree.fromstring(to_junit(protocol, findings)).find("testsuite") is not None
    assert not any("alices_session" in str(finding) for finding in findings)
