"""The decisions of the reference engine: each command is decided on what the lists and dictionaries hold."""

from minwallet.ledger.commands import Command, Group, Query, Rollback
from minwallet.ledger.decide import decide
from minwallet.ledger.decide_group import decide_group
from minwallet.ledger.entries import Kind, State
from minwallet.ledger.limits import UNRESTRICTED
from minwallet.ledger.outcomes import Applied, Outcome, list_new_entries
from minwallet.ledger.snapshot import Account, Round, Session, Snapshot, TransactionHistory, find_round_id
from minwallet.storage.models import OPENING_PROTOCOL, AccountCommand, PlayerStatus
from tests.storage.reference_engine.memory_limits import compute_restrictions
from tests.storage.reference_engine.memory_state import IdScope, MemoryState, is_reversed


def apply_command(state: MemoryState, account_command: AccountCommand, now_ms: int) -> Outcome:
    """Decide the command, and add its entries to the ledger."""
    scope = _find_id_scope(state, account_command)
    outcome = dry_run(state, account_command, now_ms)
    for entry in list_new_entries(outcome):
        history = state.histories.get((scope, entry.id), TransactionHistory())
        state.histories[scope, entry.id] = history.append(entry)
        if entry.reference is not None:
            history = state.histories.get((scope, entry.reference), TransactionHistory())
            state.histories[scope, entry.reference] = history.append_rollback(entry)
        state.entries.append(entry)
        after = Account(entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        state.accounts[account_command.account_id - 1].account = after
        if account_command.audit and isinstance(outcome, Applied):
            state.add_audit_event(account_command.audit._replace(at_ms=now_ms, seq=entry.seq))
    return outcome


def dry_run(state: MemoryState, account_command: AccountCommand, now_ms: int) -> Outcome:
    """Return the outcome that the command would have. Add nothing."""
    command = account_command.command
    if isinstance(command, Group):
        snapshots = [_make_snapshot(state, account_command, each, now_ms) for each in command.commands]
        return decide_group(snapshots, command.commands, now_ms)
    return decide(_make_snapshot(state, account_command, command, now_ms), command, now_ms)


def find_round(state: MemoryState, scope: IdScope, account_id: int, round_id: str | None) -> Round:
    """Return what the account's entries of this round say about it."""
    rows = [
        (history, entry)
        for (its_scope, _), history in state.histories.items()
        if its_scope == scope
        for entry in history[:3]
        if entry and round_id is not None and entry.round == round_id and entry.account_id == account_id
    ]
    entries = sorted(entry for _, entry in rows)
    end = max((entry.seq for entry in entries if entry.kind is Kind.ROUND_ROLLBACK), default=0)
    win_seqs = sorted(
        entry.seq for history, entry in rows if entry.kind is Kind.WIN and not is_reversed(history, entry)
    )
    standing = [
        entry
        for history, entry in rows
        if entry.kind is Kind.BET
        and entry.state is State.APPLIED
        and entry.seq > end
        and not history.cancellation
        and not is_reversed(history, entry)
    ]
    return Round(
        len(standing),
        any(
            entry.kind in (Kind.CANCEL, Kind.ROUND_ROLLBACK)
            or (entry.kind is Kind.ROLLBACK and entry.state is State.CLOSED)
            or (entry.kind in (Kind.BET, Kind.BETWIN) and is_reversed(history, entry))
            for history, entry in rows
        ),
        win_seqs[-1] if win_seqs else 0,
        end > 0,
        sum(entry.amount for entry in entries),
        sum(entry.bonus_amount for entry in entries),
        tuple(win_seqs),
    )


def _find_id_scope(state: MemoryState, account_command: AccountCommand) -> IdScope:
    owner = state.find_owner(account_command.account_id)
    return owner.agent, account_command.protocol, owner.currency if account_command.ids_per_currency else ""


def _make_snapshot(state: MemoryState, account_command: AccountCommand, command: Command, now_ms: int) -> Snapshot:
    """Return the snapshot of the command, with its round even if the decision must not depend on it."""
    account = state.accounts[account_command.account_id - 1]
    session = state.sessions[account_command.session_id - 1] if account_command.session_id else None
    scope, history, referenced = _find_id_scope(state, account_command), TransactionHistory(), TransactionHistory()
    if not isinstance(command, (Query, Group)):
        history = state.histories.get((scope, command.id), history)
    if isinstance(command, Rollback):
        referenced = state.histories.get((scope, command.reference), referenced)
    round_id = find_round_id(command, history, referenced, is_grouped=True)
    return Snapshot(
        account_command.protocol,
        account.account,
        state.players[account.player_key - 1].status is PlayerStatus.BLOCKED,
        Session(session.new.expires_at_ms, session.revoked_at_ms) if session else None,
        history,
        find_round(state, scope, account_command.account_id, round_id),
        len(state.entries) + 1,
        UNRESTRICTED
        if account_command.protocol == OPENING_PROTOCOL
        else compute_restrictions(state, account_command.account_id, now_ms),
        account_command.settle_ms,
        referenced,
    )
