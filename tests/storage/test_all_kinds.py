"""A ledger with every kind of entry: both engines decide and write the same, and nothing is applied twice."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from minwallet.ledger.commands import Group, MoneyCommand, Win, WinCategory
from minwallet.ledger.entries import Kind, Refusal, State
from minwallet.ledger.outcomes import Outcome
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL
from minwallet.storage.store import Store
from minwallet.web.gateway.protocol_guard import find_command_fault
from tests.storage.all_kinds import (
    PLAY,
    RETIRED,
    SEQUEL,
    create_actors,
    find_false_retries,
    find_surprises,
    play,
    read_entries,
)
from tests.storage.store_helpers import NOW, ORBIT, VELA, WALLET_V2, Run, open_store


@pytest.fixture
def first_outcomes(store: Store, run: Run) -> Sequence[Outcome]:
    """Return the outcomes of the play, which the store has afterwards."""
    run(create_actors(store))
    outcomes = run(play(store, PLAY, NOW))
    assert find_surprises(PLAY, outcomes) == []
    return outcomes


@pytest.mark.usefixtures("first_outcomes")
def test_the_play_has_every_kind_state_and_category(store: Store, run: Run) -> None:
    """Also every command, every permanent refusal and every protocol."""
    entries = run(read_entries(store))
    assert {entry.kind for entry in entries} == set(Kind)
    assert {entry.state for entry in entries} == set(State)
    assert {entry.refusal for entry in entries if entry.refusal} == {
        Refusal.INSUFFICIENT_FUNDS,
        Refusal.LOSS_LIMIT,
        Refusal.PLAYER_BLOCKED,
        Refusal.PLAYER_EXCLUDED,
    }
    assert {step.command.category for step in PLAY if isinstance(step.command, Win)} == {None, *WinCategory}
    assert {type(step.command) for step in PLAY} == {*get_args(MoneyCommand), Group}
    assert {entry.protocol for entry in entries} == {
        WALLET_V2,
        VELA,
        ORBIT,
        RETIRED,
        OPERATOR_PROTOCOL,
        OPENING_PROTOCOL,
    }


def test_the_gateway_accepts_every_command_of_the_play() -> None:
    """So all entries of the play could be a provider's or the operator's."""
    steps = [step for step in (*PLAY, *SEQUEL) if step.protocol != OPERATOR_PROTOCOL]
    assert [(step, fault) for step in steps if (fault := find_command_fault(step.command))] == []


def test_both_engines_write_the_same_entries(tmp_path: Path, run: Run) -> None:
    """Outcomes, hashes and balances are equal, also those of commands about earlier transactions."""
    results = []
    for engine in ("memory", "sqlite"):
        store = run(open_store(engine, tmp_path))
        run(create_actors(store))
        outcomes = [run(play(store, steps, NOW + 1000 * number)) for number, steps in enumerate((PLAY, PLAY, SEQUEL))]
        results.append((outcomes, run(read_entries(store)), run(store.accounts.read_accounts(0, 99))))
        run(store.close())
    assert results[0] == results[1]


def test_a_retry_of_any_command_moves_nothing(first_outcomes: Sequence[Outcome], store: Store, run: Run) -> None:
    """It gets the first outcome, or the refusal of what was reversed since. No entry is written."""
    before = run(read_entries(store))
    assert find_false_retries(PLAY, first_outcomes, run(play(store, PLAY, NOW + 1000))) == []
    assert run(read_entries(store)) == before


@pytest.mark.usefixtures("first_outcomes")
def test_earlier_transactions_are_reversed_once(store: Store, run: Run) -> None:
    """A second rollback under another id is refused, and a retry of the first one moves nothing."""
    outcomes = run(play(store, SEQUEL, NOW + 1000))
    assert find_surprises(SEQUEL, outcomes) == []
    before = run(read_entries(store))
    assert find_false_retries(SEQUEL, outcomes, run(play(store, SEQUEL, NOW + 2000))) == []
    assert run(read_entries(store)) == before
