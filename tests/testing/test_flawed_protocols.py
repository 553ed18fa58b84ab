"""Each rule of minwallet.testing fails for a protocol that breaks it.

Each flaw is a package with a name of its own. One wallet serves all of them, because most of the time of such a test is
that of the server's start.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from minwallet.scaffold import render_package
from tests.orbit_package import ORBIT_FOLDER
from tests.support import clean_environment

pytestmark = pytest.mark.long


class Flaw(NamedTuple):
    """A change of a protocol's module that breaks a rule, and the test that must fail."""

    protocol: str
    old: str
    new: str
    test: str


ALTERED = "test_altered_requests_are_parsed_without_an_exception"

RETRY = "test_retry_moves_nothing"

JOURNALED_TOKEN = """    def redact(self, call, request, now_ms):
        return request.body.decode()

    def render_error("""

STAKE = 'read_number(fields, "amount", MAX_CENTS), round'

FLAWS = {
    "a refusal that looks like a success": Flaw(
        "pico", 'fields |= {"ok": False, "why": outcome.refusal}', "pass", "test_refused_bet_stays_refused"
    ),
    "a code for some refusals": Flaw(
        "pico", "if isinstance(outcome, Refused):", "if False:", "test_every_refusal_is_an_error"
    ),
    "a new id for each retry": Flaw("pico", "return Bet(id_,", "return Bet(str(time.time_ns()),", RETRY),
    "an undeclared balance of retries": Flaw(
        "pico", "api_version = 1", 'api_version = 1\n    retry_balance = RetryBalance("first")', RETRY
    ),
    "a stake of its own": Flaw("pico", STAKE, "1, round", "test_known_id_with_other_content_is_refused"),
    "a cancel that does nothing": Flaw(
        "pico", "return Cancel(id_)", "return Balance()", "test_reversal_before_its_bet_closes_it"
    ),
    "an exception for a missing field": Flaw("pico", "value = fields.get(name)", "value = fields[name]", ALTERED),
    "an amount without a limit": Flaw("pico", "or not 0 <= value <= maximum", "or not 0 <= value", ALTERED),
    "an operation of the caller's choice": Flaw("pico", 'Malformed("", 1,', "Malformed(operation, 1,", ALTERED),
    "a token in the journal": Flaw(
        "pico", "    def render_error(", JOURNALED_TOKEN, "test_journal_does_not_contain_the_token"
    ),
    "a signature that leaves out the body": Flaw(
        "orbit", '*request.body.split(b"&"), ', "", "test_request_that_is_changed_after_signing_is_refused"
    ),
    "a signature that never gets old": Flaw(
        "orbit", "max_age_ms = 30_000", "max_age_ms = 10**15", "test_stale_signature_is_refused"
    ),
    "a time that is not read": Flaw(
        "orbit", "int(seconds) * 1000, nonce", "2 * 10**12, nonce", "test_the_same_signed_request_is_a_retry"
    ),
    "a player whom the call does not name": Flaw(
        "orbit", "fields), player_id, currency)", "fields))", "test_built_request_is_parsed_to_the_same_call"
    ),
    "a rollback of the first transaction only": Flaw(
        "orbit", "for reference in references))", "for reference in references[:1]))", "test_golden_pair_gets_its_reply"
    ),
}


NAMES = {flaw: f"flaw{chr(ord('a') + number)}" for number, flaw in enumerate(FLAWS)}
"""The name of each flaw's protocol. None is the beginning of another one."""

SHARED_WALLET = """
from contextlib import nullcontext

import pytest

from minwallet.testing import TemporaryWallet, protocol_tests


@pytest.fixture(scope="session", autouse=True)
def shared_wallet():
    with TemporaryWallet() as wallet:
        protocol_tests.TemporaryWallet = lambda settings: nullcontext(wallet)
        yield
"""


class FlawReport(NamedTuple):
    """The output of the tests, and the lines of its summary: one for each test that failed."""

    output: str
    summary: str


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> FlawReport:
    """Return the report of each flaw's own test, which is run with the package that has the flaw."""
    folder = tmp_path_factory.mktemp("flaws")
    (folder / "conftest.py").write_text(SHARED_WALLET)
    for flaw, name in NAMES.items():
        (folder / name).mkdir()
        for file, text in _render_flawed_package(FLAWS[flaw], name).items():
            (folder / name / file).write_text(text, "utf-8")
    selection = " or ".join(f"({NAMES[each]} and {flaw.test})" for each, flaw in FLAWS.items())
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", selection, "."]
    env = clean_environment(MINWALLET_PLUGINS=str(folder))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 1, done.stdout + done.stderr
    return FlawReport(done.stdout, done.stdout.partition("short test summary")[2])


@pytest.mark.parametrize("flaw", FLAWS)
def test_a_flaw_is_found(report: FlawReport, flaw: str) -> None:
    """The tests of a package with this flaw fail, by the rule that it breaks."""
    assert re.search(rf"^FAILED \S*test_{NAMES[flaw]}\.py::\w+::{FLAWS[flaw].test}\b", report.summary, re.MULTILINE), (
        report.output
    )
    assert "ERROR" not in report.summary, report.output


def _render_flawed_package(flaw: Flaw, name: str) -> Mapping[str, str]:
    """Return the files of the package with the flaw, under another name."""
    files = dict(render_package(name)) if flaw.protocol == "pico" else _render_orbit(name)
    module = f"minwallet_{name}.py"
    assert flaw.old in files[module]
    changed = (
        files[module].replace(flaw.old, flaw.new).replace("    Malformed,\n", "    Malformed,\n    RetryBalance,\n")
    )
    return files | {module: changed.replace("from types", "import time\nfrom types", 1)}


def _render_orbit(name: str) -> dict[str, str]:
    def rename(text: str) -> str:
        return text.replace("orbit", name).replace("Orbit", name.capitalize())

    return {rename(each.name): rename(each.read_text("utf-8")) for each in ORBIT_FOLDER.iterdir() if each.is_file()}
