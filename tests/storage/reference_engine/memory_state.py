"""What the reference engine remembers of players, accounts and sessions."""

from dataclasses import dataclass

from minwallet.ledger.decide import Account
from minwallet.storage.models import (
    Agent,
    NewSession,
    PlayerStatus,
)


@dataclass
class PlayerState:
    agent: Agent
    player_id: str
    created_at_ms: int
    status: PlayerStatus = PlayerStatus.ACTIVE


@dataclass
class AccountState:
    player_key: int
    currency: str
    account: Account


@dataclass
class SessionState:
    new: NewSession
    account_id: int
    created_at_ms: int
    revoked_at_ms: int | None = None
