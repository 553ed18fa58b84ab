"""The independent checker's rules of rollbacks: it accepts true ones, and reports every kind of false one."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.faults.checker import check_file
from tests.faults.harness import create_players
from tests.faults.history import Attempt, History
from tests.faults.load_clients import LoadClients
from tests.faults.test_checker import AlterAttempt, RecordedRun
from tests.orbit_package import ORBIT_FOLDER, add_orbit_secret
from tests.storage.tampering import open_without_triggers
from tests.support import InProcessCli, running_server


@pytest.fixture(scope="module")
def orbit_run(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    """Return a wallet file, and the history of all calls of the example protocol to it, without a fault."""
    file = tmp_path_factory.mktemp("orbit") / "wallet.db"
    clients = LoadClients(create_players(InProcessCli(file), 4), seed=2, clients=8, protocols=["orbit"])
    add_orbit_secret(InProcessCli(file))
    with running_server(file, MINWALLET_PLUGINS=str(ORBIT_FOLDER)) as server:
        asyncio.run(clients.play(server.url, 60))
    return RecordedRun(file, clients.history)


def find_last(history: History, operation: str, code: int | str = 0) -> int:
    """Return the place of the last attempt of this operation that had an amount or a reference, and this code."""
    return max(
        place
        for place, said in enumerate(history)
        if (said.operation, said.code) == (operation, code) and (said.balance is not None or said.reference)
    )


def test_true_rollbacks_have_no_problems(orbit_run: RecordedRun) -> None:
    """A correct wallet has no problem, and the clients refund, roll back and bet too much."""
    verdict = check_file(orbit_run.file, orbit_run.history)
    assert verdict.problems == []
    for operation in ("refund", "rollback", "win", "bet"):
        assert find_last(orbit_run.history, operation)
    assert find_last(orbit_run.history, "bet", "INSUFFICIENT_FUNDS")


@pytest.mark.parametrize("operation", ["refund", "rollback"])
@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda said: said._replace(id="999999"), id="an id that was never applied"),
        pytest.param(lambda said: said._replace(reference="999999"), id="another reference"),
        pytest.param(lambda said: said._replace(payout=10**6), id="another amount"),
        pytest.param(lambda said: said._replace(balance=10**12), id="another balance"),
        pytest.param(lambda said: said._replace(player="nobody"), id="nobody"),
    ],
)
def test_a_false_answer_is_reported(orbit_run: RecordedRun, operation: str, lie: AlterAttempt) -> None:
    """Each acknowledged rollback must be in the ledger with the same content and balance."""
    lies: list[Attempt] = [*orbit_run.history]
    place = find_last(orbit_run.history, operation)
    lies[place] = lie(lies[place])
    assert check_file(orbit_run.file, lies).problems


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("amount = amount + 100000 WHERE kind = 'rollback' AND state = 'applied'", "instead of"),
        ("reference = '999999' WHERE kind = 'rollback'", "breaks the chain"),
    ],
)
def test_a_changed_rollback_is_reported(orbit_run: RecordedRun, tmp_path: Path, change: str, complaint: str) -> None:
    """Changed rollbacks of a file are reported. tests/faults/test_reversal_checks.py has every kind of false row."""
    file = Path(shutil.copy(orbit_run.file, tmp_path / "changed.db"))
    with open_without_triggers(file) as db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        assert db.execute(f"UPDATE transactions SET {change}").rowcount
    problems = check_file(file, orbit_run.history).problems
    assert any(complaint in problem for problem in problems), problems
