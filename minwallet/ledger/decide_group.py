"""The decision about a Group: several commands of one account, in order and all or nothing.

Theory of operation

The snapshots are all as before the group. Each command is decided on its own snapshot, changed by what the commands
before it would write: the account, the number of the next entry, the histories, the rounds and the usage of limits.
So the outcome is that of the same commands one after another, as long as all of them succeed. The first refusal is that
of the group, and the entries so far are dropped.

A list of transactions to roll back has any order, and the order must not decide whether the list as a whole can be
reversed. So a group of reversals differs from single ones in two ways:

- Its rollbacks of wins are decided last: the stakes that the others return can pay for them.
- A win that the group rolls back settles no bet of its round.
"""

from collections.abc import Sequence

from minwallet.ledger.commands import MAX_GROUP_SIZE, Bet, BetWin, Cancel, GameCommand, MoneyCommand, Rollback
from minwallet.ledger.decide import decide
from minwallet.ledger.entries import Entry, Kind, State
from minwallet.ledger.limits import UNRESTRICTED, DailyUsage
from minwallet.ledger.outcome_builders import refuse, refuse_permanently
from minwallet.ledger.outcomes import Applied, GroupApplied, Refused, Replayed
from minwallet.ledger.snapshot import Account, Round, Snapshot, TransactionHistory, find_round_id
from minwallet.ledger.time_units import DAY_MS


def decide_group(
    snapshots: Sequence[Snapshot], commands: Sequence[MoneyCommand], now_ms: int
) -> GroupApplied | Refused:
    """Return the outcome of the commands, each with its snapshot as before the group.

    All snapshots have the account, the session and the `next_seq` of the first command. Each has the history, the
    referenced history and the round (see `find_round_id`) of its own command. Raise ValueError if the number of
    commands is not 1 to MAX_GROUP_SIZE, or if one of them is not a GameCommand.
    """
    if not 1 <= len(commands) <= MAX_GROUP_SIZE:
        raise ValueError(f"invalid group of {len(commands)} commands: use 1 to {MAX_GROUP_SIZE}")
    for command in commands:
        if not isinstance(command, GameCommand):
            raise ValueError(f"invalid command {type(command).__name__} in a group: it is not a game's")
    state = _GroupState(snapshots, commands)
    outcomes: dict[int, Applied | Replayed] = {}
    for index in _order_decisions(snapshots, commands):
        before, command = snapshots[index], commands[index]
        snapshot = state.advance(before, command)
        outcome = decide(snapshot, command, now_ms)
        if isinstance(outcome, Refused):
            if outcome.entry is None:
                return refuse(before, outcome.refusal)
            # The entry follows the last one before the group, as the entries of the group are dropped.
            assert isinstance(command, Bet | BetWin)
            return refuse_permanently(before, command, outcome.refusal, now_ms)
        assert isinstance(outcome, Applied | Replayed)
        outcomes[index] = outcome
        if isinstance(outcome, Applied):
            state.add(outcome.entry, snapshot)
    in_order = tuple(outcomes[index] for index in range(len(commands)))
    return GroupApplied(in_order, state.account.cash, state.account.bonus)


def _order_decisions(snapshots: Sequence[Snapshot], commands: Sequence[MoneyCommand]) -> Sequence[int]:
    """Return the positions of the commands in the order of their decisions."""
    positions = range(len(commands))
    if not all(isinstance(command, Cancel | Rollback) for command in commands):
        return positions
    return sorted(positions, key=lambda index: _find_rolled_back_win(snapshots[index], commands[index]) is not None)


def _find_rolled_back_win(snapshot: Snapshot, command: MoneyCommand) -> Entry | None:
    """Return the win that the command rolls back, None for any other command."""
    target = snapshot.referenced.original if isinstance(command, Rollback) else None
    return target if target and target.kind is Kind.WIN else None


class _GroupState:
    """The changes of a group's commands so far. None of them is stored yet."""

    def __init__(self, snapshots: Sequence[Snapshot], commands: Sequence[MoneyCommand]) -> None:
        self.account = snapshots[0].account
        self._next_seq = snapshots[0].next_seq
        self._entries: list[Entry] = []
        self._rounds: dict[str, Round] = {}
        # A partial rollback leaves the rest of its win, which still settles the bets of the round.
        wins = (
            _find_rolled_back_win(snapshot, command)
            if isinstance(command, Rollback) and command.amount is None
            else None
            for snapshot, command in zip(snapshots, commands, strict=True)
        )
        self._reversed_win_seqs = {win.seq for win in wins if win}
        for snapshot, command in zip(snapshots, commands, strict=True):
            round_id = find_round_id(command, snapshot.history, snapshot.referenced, is_grouped=True)
            if round_id is not None and snapshot.round != Round():
                # Without the newest win, the one before it counts. So the store must have read all of them.
                assert snapshot.round.last_win_seq == max(snapshot.round.win_seqs, default=0)
                self._rounds[round_id] = snapshot.round

    def advance(self, snapshot: Snapshot, command: MoneyCommand) -> Snapshot:
        """Return the snapshot of a command as it is after the commands before it."""
        history = self._extend_history(snapshot.history, command.id)
        referenced = snapshot.referenced
        if isinstance(command, Rollback):
            referenced = self._extend_history(referenced, command.reference)
        round_id = find_round_id(command, history, referenced)
        restrictions = snapshot.restrictions
        if restrictions is not UNRESTRICTED:
            # What a bet took and a win paid counts for the limits of the next bet.
            usages = (DailyUsage(entry.at_ms // DAY_MS, 0, -entry.amount) for entry in self._entries)
            restrictions = restrictions._replace(daily_usage=(*restrictions.daily_usage, *usages))
        round = Round() if round_id is None else self._rounds.get(round_id, Round())
        if isinstance(command, Cancel | Rollback) and self._reversed_win_seqs:
            win_seqs = tuple(seq for seq in round.win_seqs if seq not in self._reversed_win_seqs)
            round = round._replace(last_win_seq=max(win_seqs, default=0), win_seqs=win_seqs)
        return snapshot._replace(
            account=self.account,
            next_seq=self._next_seq,
            history=history,
            referenced=referenced,
            round=round,
            restrictions=restrictions,
        )

    def add(self, entry: Entry, snapshot: Snapshot) -> None:
        """Add the entry of a command, which was decided on this snapshot."""
        if entry.round is not None:
            self._rounds[entry.round] = extend_round(self._rounds.get(entry.round, Round()), entry, snapshot)
        self._entries.append(entry)
        self.account = Account(entry.account_id, entry.cash_after, entry.bonus_after, entry.hash, entry.seq)
        self._next_seq += 1

    def _extend_history(self, history: TransactionHistory, id: str) -> TransactionHistory:
        for entry in self._entries:
            if entry.id == id:
                history = history.append(entry)
            if entry.reference == id:
                history = history.append_rollback(entry)
        return history


def extend_round(round: Round, entry: Entry, snapshot: Snapshot) -> Round:
    """Return the round with one more entry of it, which was decided on this snapshot."""
    round = round._replace(cash=round.cash + entry.amount, bonus=round.bonus + entry.bonus_amount)
    match entry.kind:
        case Kind.BET:
            return round._replace(standing_bets=round.standing_bets + 1)
        case Kind.WIN:
            return round._replace(last_win_seq=entry.seq, win_seqs=(*round.win_seqs, entry.seq))
        case Kind.CANCEL:
            return _reverse_bet(round, snapshot.history.original)
        case Kind.ROLLBACK:
            history = snapshot.referenced.append_rollback(entry)
            if not history.is_rolled_back:
                return round
            target = history.original
            if target and target.kind is Kind.WIN:
                return _reverse_win(round, target)
            return _reverse_bet(round, target)
        case Kind.ROUND_ROLLBACK:
            return round._replace(standing_bets=0, has_cancelled_bet=True, is_rolled_back=True)
        case _:
            return round


def _reverse_bet(round: Round, bet: Entry | None) -> Round:
    is_standing = bet is not None and bet.kind is Kind.BET and bet.state is State.APPLIED
    return round._replace(standing_bets=round.standing_bets - is_standing, has_cancelled_bet=True)


def _reverse_win(round: Round, win: Entry) -> Round:
    win_seqs = tuple(seq for seq in round.win_seqs if seq != win.seq)
    return round._replace(last_win_seq=max(win_seqs, default=0), win_seqs=win_seqs)
