"""The refusals as clauses, for pages, the access log and the recorded calls."""

from minwallet.ledger.entries import Refusal

REFUSAL_TEXTS = {
    Refusal.SESSION_UNKNOWN: "the session does not exist",
    Refusal.PLAYER_UNKNOWN: "the agent has no player with this id",
    Refusal.PLAYER_MISMATCH: "the session belongs to another player than the call says",
    Refusal.CURRENCY_MISMATCH: "the player has another currency than the call says",
    Refusal.CANCELLED: "the bet was cancelled before",
    Refusal.ID_TAKEN: "the id was already used",
    Refusal.NOT_A_BET: "the id belongs to a win",
    Refusal.NO_OPEN_BET: "no open bet has this id",
    Refusal.SESSION_REVOKED: "the session was revoked",
    Refusal.SESSION_EXPIRED: "the session had expired",
    Refusal.PLAYER_BLOCKED: "the player was blocked",
    Refusal.PLAYER_EXCLUDED: "the player was excluded",
    Refusal.LOSS_LIMIT: "it would have exceeded a loss limit",
    Refusal.DEPOSIT_LIMIT: "it would have exceeded a deposit limit",
    Refusal.ROUND_CANCELLED: "all bets of the round were cancelled",
    Refusal.ROUND_SETTLED: "the round was already won, and no other bet of it stands",
    Refusal.INSUFFICIENT_FUNDS: "the balance was too low",
    Refusal.WIN_SPENT: "the player had spent the net win",
    Refusal.OUT_OF_RANGE: "the balance would have exceeded its maximum",
}
