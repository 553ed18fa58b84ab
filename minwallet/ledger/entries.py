"""The ledger's rows, and the hash chain that ties an account's rows together.

Rows are only ever added. Each carries a SHA-256 over the hash of the account's previous row and its own fields, and
the account holds the last one, its head; so a row that is changed, removed or slipped in later is noticed.
"""

import hashlib
import json
from collections.abc import Sequence
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


class State(StrEnum):
    APPLIED = "applied"
    REFUSED = "refused"
    """A bet that stays refused: a late duplicate may not take money for a bet the game has called off."""
    CLOSED = "closed"
    """A tombstone: a cancel of an id that took nothing, which no bet may use any more."""
    ORPHAN = "orphan"
    """A win, paid, whose round has no bet that this wallet knows."""


class Refusal(StrEnum):
    """Every reason for which an intelligible request is not carried out, in the order in which they are looked for."""

    SESSION_UNKNOWN = "session_unknown"
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
    """One transaction. `previous_seq` is the account's row before it, 0 for its first; `amount` and `bonus_amount` are
    the signed changes, `stake` and `payout` what was asked for.
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
    hash: bytes


def is_open_bet(entry: Entry, *, is_cancelled: bool, last_win_seq: int = 0) -> bool:
    """Return True if the entry is a bet that took money and is neither cancelled nor settled.

    `last_win_seq` is the newest win in the bet's round and account, 0 if there is none. A win settles the bets before
    it; a later bet opens the round again. A bet and win in one step is never open.
    """
    return entry.kind is Kind.BET and entry.state is State.APPLIED and not is_cancelled and entry.seq > last_win_seq


def find_open_bets(entries: Sequence[Entry]) -> list[Entry]:
    """Return the open bets among entries of one account and one protocol, in the order given.

    Entries after a bet must be included, as they settle and cancel it; earlier ones may be missing.
    """
    cancelled_ids = {entry.id for entry in entries if entry.kind is Kind.CANCEL}
    last_win_seqs: dict[str | None, int] = {}
    for entry in entries:
        if entry.kind is Kind.WIN:
            last_win_seqs[entry.round] = max(entry.seq, last_win_seqs.get(entry.round, 0))
    return [
        entry
        for entry in entries
        if is_open_bet(entry, is_cancelled=entry.id in cancelled_ids, last_win_seq=last_win_seqs.get(entry.round, 0))
    ]


def compute_genesis_hash(agent: str, player_id: str, currency: str) -> bytes:
    """The head of an account that has no rows yet: it names the account, so rows cannot change owners."""
    return hashlib.sha256(json.dumps([agent, player_id, currency]).encode()).digest()


def chain_entry(fields: Sequence[Any], head: bytes) -> Entry:
    """The entry of these fields, all but the hash, as the next one after `head`."""
    return Entry._make((*fields, hash_entry(fields, head)))


def hash_entry(fields: Sequence[Any], head: bytes) -> bytes:
    """SHA-256 over `head` and the fields as a compact JSON array; a hash that follows them is left out.

    The account's own number is left out of it, as `compute_genesis_hash` names the account.
    """
    seq, at_ms, _, previous_seq, protocol, kind, id, round, game, detail = fields[:10]
    stake, payout, amount, bonus_amount, cash_after, bonus_after, state, refusal = fields[10:18]
    # Spelled out, as every bet does this, and a general encoder takes twice the time.
    payload = (
        f'[{seq},{at_ms},{previous_seq},"{protocol}","{kind}",{_encode_json(id)},{_encode_json(round)},{_encode_json(game)},{_encode_json(detail)},'
        f'{stake},{payout},{amount},{bonus_amount},{cash_after},{bonus_after},"{state}",{_encode_json(refusal)}]'
    )
    return hashlib.sha256(head + payload.encode()).digest()


def _encode_json(text: str | None) -> str:
    return "null" if text is None else encode_basestring_ascii(text)
