"""The entries of the ledger and the hash chain of each account.

Rules

1. An entry is never changed or deleted. A correction is a new entry.
2. Each entry has a hash: SHA-256 over the hash of the account's previous entry and its own fields.
3. The account stores the hash of its newest entry, the head. So a changed, removed or inserted entry breaks the chain,
   and a removed newest entry does not match the head.
4. The chain starts with the genesis hash, a SHA-256 over agent, player id and currency. So the entries of one account
   cannot be moved to another.

Theory of operation

The hash of an entry is SHA-256(previous hash ‖ payload). The payload is a JSON array without spaces, in ASCII:

    [seq, at_ms, previous_seq, protocol, kind, id, round, game, detail,
     stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal]

An entry with a `reference` has it as one more element at the end.

These are the fields of `Entry` in their order, with two left out:

- `hash`, because it is the result.
- `account_id`, because it is a number of one database. The genesis hash names the account instead, so an export keeps
  its hashes when an import gives the accounts other numbers.

JSON separates and quotes the fields, so two different entries never have the same payload. `null` stands for None.
The order and the spelling must never change: every stored hash depends on them.

The chain is per account, not per ledger. So accounts do not wait for each other when they write, and an audit can
check them in parallel.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple


class Kind(StrEnum):
    BET = "bet"
    WIN = "win"
    CANCEL = "cancel"
    BETWIN = "betwin"
    DEPOSIT = "deposit"
    WITHDRAW = "withdraw"
    ADJUSTMENT = "adjustment"
    """A correction of the balances by the operator, up or down."""
    ROLLBACK = "rollback"
    """A reversal, in whole or in part, of the entry that `reference` names."""
    ROUND_ROLLBACK = "round_rollback"
    ROUND_END = "round_end"


class State(StrEnum):
    APPLIED = "applied"
    REFUSED = "refused"
    """A permanent refusal of a bet: a late duplicate must not take money, as the game continued without the bet."""
    CLOSED = "closed"
    """A tombstone: a cancel or rollback of an id or round that took no money; no bet can use it any more."""
    ORPHAN = "orphan"
    """A win, paid, although no bet of the account stood in its round."""


class Refusal(StrEnum):
    """The reasons to refuse a well-formed request, in the order of the checks.

    The groups are the unknown account, the id, the session, the player, the limits, the round and the money.

    A refused call moved no money. A retry is the same call again, with the same id and content:

    | refusal | a retry |
    |---|---|
    | insufficient_funds, loss_limit, player_blocked, player_excluded of a Bet or BetWin | stays refused: an entry |
    | the same of any other command, deposit_limit | succeeds if money, status or limit allow it by then |
    | cancelled | stays refused: the id, or the round of what it reverses, is closed permanently |
    | id_taken, not_a_bet | stays refused: the id belongs to another transaction |
    | player_mismatch | stays refused: a session belongs to one account |
    | currency_mismatch | stays refused; without a session it succeeds if the account exists by then |
    | session_unknown, player_unknown | succeeds if the session or the player exists by then |
    | session_revoked, session_expired | stays refused, but a Win succeeds if a bet of its round stands by then |
    | no_open_bet | succeeds if the bet has arrived by then; stays refused for a bet that is reversed |
    | round_cancelled | stays refused if the round was rolled back, else succeeds if a bet of it stands by then |
    | round_settled | stays refused for a bet with a result, else succeeds if its win is rolled back by then |
    | win_spent | succeeds if the player has enough cash by then |
    | out_of_range | succeeds if the balance has room by then; stays refused for more than is left to reverse |

    A Group is refused with the first refusal of its commands. A permanent refusal is an entry of that command alone, so
    the Group stays refused with it.
    """

    SESSION_UNKNOWN = "session_unknown"
    PLAYER_UNKNOWN = "player_unknown"
    PLAYER_MISMATCH = "player_mismatch"
    """The request names another player than its session."""
    CURRENCY_MISMATCH = "currency_mismatch"
    """The request names another currency than its session. Without a session: the player has no account in it."""
    CANCELLED = "cancelled"
    ID_TAKEN = "id_taken"
    NOT_A_BET = "not_a_bet"
    NO_OPEN_BET = "no_open_bet"
    SESSION_REVOKED = "session_revoked"
    SESSION_EXPIRED = "session_expired"
    PLAYER_BLOCKED = "player_blocked"
    PLAYER_EXCLUDED = "player_excluded"
    LOSS_LIMIT = "loss_limit"
    DEPOSIT_LIMIT = "deposit_limit"
    ROUND_CANCELLED = "round_cancelled"
    ROUND_SETTLED = "round_settled"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    WIN_SPENT = "win_spent"
    OUT_OF_RANGE = "out_of_range"


class Entry(NamedTuple):
    """One transaction. Amounts are cents.

    - `at_ms`: the time of the decision, in ms since 1970 UTC.
    - `previous_seq`: the account's entry before this one, 0 for its first.
    - `stake`, `payout`: the requested amounts. They are part of the content, so a refused bet has them too.
    - `amount`, `bonus_amount`: the signed changes of cash and bonus, 0 for a refusal.
    - `cash_after`, `bonus_after`: the balances after this entry.
    - `reference`: the id that a rollback reverses, None for every other kind.
    """

    seq: int
    at_ms: int
    account_id: int
    previous_seq: int
    protocol: str
    kind: Kind
    id: str
    round: str | None
    game: str | None
    detail: str | None
    stake: int
    payout: int
    amount: int
    bonus_amount: int
    cash_after: int
    bonus_after: int
    state: State
    refusal: Refusal | None
    reference: str | None
    hash: bytes


def is_open_bet(entry: Entry, *, is_cancelled: bool, last_settled_seq: int = 0) -> bool:
    """Return True if the entry is a bet that took money and is neither cancelled, wholly rolled back nor settled.

    `last_settled_seq` is the newest entry that settles the bets before it in the bet's round and account, 0 if there is
    none: a win that is not wholly rolled back, an end or a rollback of the round. A later bet opens the round again.
    A bet and win in one step is never open.
    """
    return entry.kind is Kind.BET and entry.state is State.APPLIED and not is_cancelled and entry.seq > last_settled_seq


def is_wholly_rolled_back(entry: Entry, rollbacks: Iterable[Entry]) -> bool:
    """Check if the rollbacks of a bet, betwin or win reverse all of it."""
    return sum_rolled_back(rollbacks) >= (entry.payout if entry.kind is Kind.WIN else entry.stake)


def sum_rolled_back(rollbacks: Iterable[Entry]) -> int:
    """Return the cents that these rollbacks were to reverse. The amounts that they moved may be less, or a net."""
    return sum(rollback.stake + rollback.payout for rollback in rollbacks)


def find_open_bets(entries: Sequence[Entry]) -> list[Entry]:
    """Return the open bets among entries of one account and one protocol, in the order given.

    Entries after a bet must be included, as they settle and cancel it; earlier ones may be missing.
    """
    rollbacks: defaultdict[str | None, list[Entry]] = defaultdict(list)
    last_settled_seqs: defaultdict[str | None, int] = defaultdict(int)
    bet_ids = {entry.id for entry in entries if entry.kind is Kind.BET}
    cancelled_ids = {entry.id for entry in entries if entry.kind is Kind.CANCEL}
    for entry in entries:
        if entry.kind is Kind.ROLLBACK:
            rollbacks[entry.reference].append(entry)

    def is_reversed(entry: Entry) -> bool:
        found = rollbacks.get(entry.id, [])
        if entry.kind is Kind.WIN:
            # A result has the id of its bet, and the rollbacks of that id are the bet's. The bet may be missing here.
            # The rollbacks of a win follow it, and have a stake and no payout.
            is_result = entry.id in bet_ids or any(each.payout or each.seq < entry.seq for each in found)
            found = [] if is_result else found
        return bool(found) and is_wholly_rolled_back(entry, found)

    for entry in entries:
        is_standing_win = entry.kind is Kind.WIN and not is_reversed(entry)
        if is_standing_win or entry.kind in (Kind.ROUND_END, Kind.ROUND_ROLLBACK):
            last_settled_seqs[entry.round] = max(entry.seq, last_settled_seqs[entry.round])
    return [
        entry
        for entry in entries
        if is_open_bet(
            entry,
            is_cancelled=entry.id in cancelled_ids or is_reversed(entry),
            last_settled_seq=last_settled_seqs[entry.round],
        )
    ]


def compute_genesis_hash(agent: str, player_id: str, currency: str) -> bytes:
    """Return the head of an account without entries, a hash that names the account."""
    return hashlib.sha256(json.dumps([agent, player_id, currency]).encode()).digest()


def chain_entry(fields: Sequence[Any], head: bytes) -> Entry:
    """Return the entry that follows `head`; `fields` are all fields of an Entry in their order, without the hash."""
    return Entry._make((*fields, hash_entry(fields, head)))


def hash_entry(fields: Sequence[Any], head: bytes) -> bytes:
    """Return the hash of an entry that follows `head`, as the module describes.

    `fields` are the fields of an Entry in their order. The hash itself may follow them and is ignored.
    """
    seq, at_ms, _, previous_seq, protocol, kind, id, round, game, detail = fields[:10]
    stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal, reference = fields[10:19]
    # Every bet computes this, and a general JSON encoder takes twice the time. Only the texts that come from outside
    # need escapes: protocol, kind and state are names of this program.
    reference_element = "" if reference is None else f",{_encode_json(reference)}"
    payload = (
        f'[{seq},{at_ms},{previous_seq},"{protocol}","{kind}",'
        f"{_encode_json(id)},{_encode_json(round)},{_encode_json(game)},{_encode_json(detail)},"
        f"{stake},{payout},{amount},{bonus_amount},{cash_after},{bonus_after},"
        f'"{state}",{_encode_json(refusal)}{reference_element}]'
    )
    return hashlib.sha256(head + payload.encode()).digest()


def _encode_json(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)
