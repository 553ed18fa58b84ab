"""The independent checker: it accepts a true history, and reports every kind of false one."""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest

from minwallet.ledger.commands import Bet, Settle
from tests.faults.checker import check_file
from tests.faults.harness import create_players
from tests.faults.history import Attempt, History
from tests.faults.load_clients import LoadClients, PlannedCall
from tests.storage.tampering import open_without_triggers
from tests.support import InProcessCli, running_server

AlterAttempt = Callable[[Attempt], Attempt]

PLAYERS = 6

ANOTHER_PLAYER = {f"player{each}": f"player{(each + 1) % PLAYERS}" for each in range(PLAYERS)}


class RecordedRun(NamedTuple):
    file: Path
    history: History


@pytest.fixture(scope="module")
def recorded_run(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    """Return a wallet file, and the history of all calls to it, without a fault."""
    folder = tmp_path_factory.mktemp("played")
    file = folder / "wallet.db"
    fleet = LoadClients(create_players(InProcessCli(file), PLAYERS), seed=1, clients=12)
    with running_server(file) as server:
        asyncio.run(fleet.play(server.url, 60))
    return RecordedRun(file, fleet.history)


def alter_answer(history: History, lie: AlterAttempt, *, protocol: str, operation: str) -> History:
    """Return the history with one acknowledged answer that was never given."""
    told = list(history)
    place = max(
        place
        for place, said in enumerate(told)
        if (said.protocol, said.operation, said.code) == (protocol, operation, 0) and said.stake + said.payout > 0
    )
    told[place] = lie(told[place])
    return History(told)


def tampered_copy(recorded_run: RecordedRun, folder: Path, *statements: str) -> Path:
    """Return a copy of the file that was changed by these statements, without its triggers."""
    file = Path(shutil.copy(recorded_run.file, folder / "doctored.db"))
    with open_without_triggers(file) as db:
        db.execute("PRAGMA ignore_check_constraints = 1")
        for statement in statements:
            assert db.execute(statement).rowcount == 1, statement
    return file


def test_a_true_history_has_no_problems(recorded_run: RecordedRun) -> None:
    """A correct wallet under normal load has no problem, and every attempt is checked."""
    verdict = check_file(recorded_run.file, recorded_run.history)
    assert verdict.problems == []
    assert verdict.counts["attempts"] == len(recorded_run.history) == 12 * 60
    assert verdict.counts["acknowledged"] > 500
    assert verdict.counts["refused"] > 20


@pytest.mark.parametrize("protocol", ["wallet-v2", "vela"])
@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda said: said._replace(balance=said.balance + 10**9), id="another balance"),
        pytest.param(lambda said: said._replace(id="999999"), id="an id that was never applied"),
        pytest.param(lambda said: said._replace(stake=said.stake + 1), id="another stake"),
        pytest.param(lambda said: said._replace(player=ANOTHER_PLAYER[said.player]), id="another player"),
        pytest.param(lambda said: said._replace(player="nobody"), id="nobody"),
        pytest.param(lambda said: said._replace(game="another"), id="another game"),
        pytest.param(lambda said: said._replace(code={"vela": 3, "wallet-v2": 105}[said.protocol]), id="a refusal"),
        pytest.param(lambda said: said._replace(code={"vela": 2, "wallet-v2": 106}[said.protocol]), id="another one"),
    ],
)
def test_an_acknowledged_call_that_is_not_in_the_ledger_is_reported(
    recorded_run: RecordedRun, protocol: str, lie: AlterAttempt
) -> None:
    """Each acknowledged call must be in the ledger with the same content and balance."""
    lies = alter_answer(recorded_run.history, lie, protocol=protocol, operation="bet")
    assert check_file(recorded_run.file, lies).problems


@pytest.mark.parametrize("operation", ["credit", "authenticate"])
def test_a_balance_from_another_time_is_reported(recorded_run: RecordedRun, operation: str) -> None:
    """The answer to a query must have a balance from between request and answer."""
    asked = max(place for place, said in enumerate(recorded_run.history) if said.operation == operation)
    early = History(recorded_run.history)
    early[asked] = early[asked]._replace(sent_at=0.0, answered_at=0.001)
    assert any("never held that" in problem for problem in check_file(recorded_run.file, early).problems)


def test_a_row_without_a_call_is_reported(recorded_run: RecordedRun) -> None:
    """A bet that no client made must not be in the ledger."""
    bet = max(said for said in recorded_run.history if (said.operation, said.code) == ("bet", 0))
    without = History(said for said in recorded_run.history if bet.id not in (said.id, said.round))
    assert any("has no call" in problem for problem in check_file(recorded_run.file, without).problems)


def test_a_refusal_may_be_temporary(tmp_path: Path) -> None:
    """A result before its bet is refused, and succeeds after it. An applied call is never refused later."""
    file, history, clock = tmp_path / "wallet.db", History(), count(1)
    (seat,) = create_players(InProcessCli(file), 1, cash="1", bonus="0")
    asked = {
        "bet": PlannedCall(seat, "vela", "bet", Bet("7", 10, "7", None)),
        "result": PlannedCall(seat, "vela", "result", Settle("7", 30, None)),
    }
    with running_server(file) as server:
        for operation in ("result", "bet", "result"):
            exchange = asked[operation].exchange
            answer = server.http.get(exchange.target)
            said = asked[operation].to_attempt(0.0, answer.status_code, answer.content)
            history.append(said._replace(sent_at=next(clock), answered_at=next(clock)))
    assert [said.code for said in history] == [2, 0, 0]
    assert check_file(file, history).problems == []
    late = history[0]._replace(sent_at=next(clock), answered_at=next(clock), balance=120)
    assert any("it was refused, but" in problem for problem in check_file(file, [*history, late]).problems)


def test_a_row_out_of_order_is_reported(recorded_run: RecordedRun) -> None:
    """A row acknowledged before another call was sent comes before that call's row."""
    place = min(place for place, said in enumerate(recorded_run.history) if (said.operation, said.code) == ("bet", 0))
    late = History(recorded_run.history)
    late[place] = late[place]._replace(sent_at=10.0**9, answered_at=10.0**9)
    assert any("stands before" in problem for problem in check_file(recorded_run.file, late).problems)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE accounts SET cash = cash + 1 WHERE account_id = 2", "its rows sum to"),
        ("UPDATE accounts SET last_seq = 1 WHERE account_id = 2", "its rows sum to"),
        ("UPDATE transactions SET amount = amount - 1 WHERE seq = 50", "where the rows sum to"),
        ("UPDATE transactions SET game = 'x' WHERE seq = 50", "breaks the chain"),
        ("UPDATE transactions SET hash = zeroblob(32) WHERE seq = 50", "breaks the chain"),
        ("DELETE FROM transactions WHERE seq = 50", "is the 50th"),
        ("UPDATE transactions SET previous_seq = 0 WHERE seq = 50", "breaks the chain"),
    ],
)
def test_a_changed_file_is_reported(recorded_run: RecordedRun, tmp_path: Path, statement: str, complaint: str) -> None:
    """Rows and balances that were changed, removed or adjusted are reported."""
    problems = check_file(tampered_copy(recorded_run, tmp_path, statement), recorded_run.history).problems
    assert any(complaint in problem for problem in problems), problems


def test_a_wrong_amount_of_a_row_is_reported(recorded_run: RecordedRun, tmp_path: Path) -> None:
    """A cancel that returns more than its bet took is reported, even if the balances sum up."""
    with closing(sqlite3.connect(recorded_run.file)) as db:
        (seq, account_id) = db.execute(
            "SELECT max(seq), account_id FROM transactions WHERE kind = 'cancel' AND state = 'applied' AND amount > 0"
        ).fetchone()
    raise_all = f"UPDATE transactions SET amount = amount + 1 WHERE seq = {seq}"
    problems = check_file(tampered_copy(recorded_run, tmp_path, raise_all), recorded_run.history).problems
    assert account_id
    assert any("moved" in problem for problem in problems), problems
