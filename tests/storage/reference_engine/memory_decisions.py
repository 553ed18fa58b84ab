"""The decisions of the reference engine: each command is decided on what the lists and dictionaries hold."""

from minwallet.ledger.commands import Query
from minwallet.ledger.decide import Account, Round, Session, Snapshot, TransactionHistory, decide
from minwallet.ledger.entries import Kind, State
from minwallet.ledger.limits import UNRESTRICTED
from minwallet.ledger.outcomes import Applied, Outcome, Refused
from minwallet.storage.models import OPENING_PROTOCOL, AccountCommand, JournalRecord, PlayerStatus
from tests.storage.reference_engine.memory_limits import compute_restrictions
from tests.storage.reference_engine.memory_state import IdScope, MemoryState


def apply_command(state: MemoryState, account_command: AccountCommand, now_ms: int) -> Outcome:
    """Decide the command, and add its entry to the ledger."""
    command = account_command.command
    assert not isinstance(command, Query)
    key = (scope := _find_id_scope(state, account_command), command.id)
    history = state.histories.get(key, TransactionHistory())
    round_id = history.original.round if history.original else getattr(command, "round", None)
    round_ = find_round(state, scope, account_command.account_id, round_id)
    outcome = decide(_make_snapshot(state, account_command, history, round_, now_ms), command, now_ms)
    if isinstance(outcome, (Applied, Refused)) and (entry := outcome.entry):
        state.entries.append(entry)
        state.histories[key] = history.append(entry)
        if account_command.journal:
            state.journal[entry.seq] = JournalRecord(*account_command.journal(outcome))
        after = Account(entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        state.accounts[account_command.account_id - 1].account = after
        if account_command.audit and isinstance(outcome, Applied):
            state.add_audit_event(account_command.audit._replace(at_ms=now_ms, seq=entry.seq))
    return outcome


def dry_run(state: MemoryState, account_command: AccountCommand, now_ms: int) -> Outcome:
    """Return the outcome that the command would have. Add nothing."""
    command, history = account_command.command, TransactionHistory()
    if not isinstance(command, Query):
        history = state.histories.get((_find_id_scope(state, account_command), command.id), history)
    return decide(_make_snapshot(state, account_command, history, Round(), now_ms), command, now_ms)


def find_round(state: MemoryState, scope: IdScope, account_id: int, round_id: str | None) -> Round:
    """Return what the account's entries of this round say about it."""
    rows = [
        (history, entry)
        for (its_scope, _), history in state.histories.items()
        if its_scope == scope
        for entry in history
        if entry and round_id is not None and entry.round == round_id and entry.account_id == account_id
    ]
    return Round(
        sum(
            entry.kind is Kind.BET and entry.state is State.APPLIED and not history.cancellation
            for history, entry in rows
        ),
        any(entry.kind is Kind.CANCEL for _, entry in rows),
        max((entry.seq for _, entry in rows if entry.kind is Kind.WIN), default=0),
    )


def _find_id_scope(state: MemoryState, account_command: AccountCommand) -> IdScope:
    owner = state.find_owner(account_command.account_id)
    return owner.agent, account_command.protocol, owner.currency if account_command.ids_per_currency else ""


def _make_snapshot(
    state: MemoryState, account_command: AccountCommand, history: TransactionHistory, round_: Round, now_ms: int
) -> Snapshot:
    account = state.accounts[account_command.account_id - 1]
    session = state.sessions[account_command.session_id - 1] if account_command.session_id else None
    return Snapshot(
        account_command.protocol,
        account.account,
        state.players[account.player_key - 1].status is PlayerStatus.BLOCKED,
        Session(session.new.expires_at_ms, session.revoked_at_ms) if session else None,
        history,
        round_,
        len(state.entries) + 1,
        UNRESTRICTED
        if account_command.protocol == OPENING_PROTOCOL
        else compute_restrictions(state, account_command.account_id, now_ms),
        account_command.settle_ms,
    )
