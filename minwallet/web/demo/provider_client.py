"""The demo provider as the page knows it: what can be played there, and what it tells of a play."""

from collections.abc import Mapping
from typing import NamedTuple

import httpx2
from pydantic import BaseModel, ValidationError

TIMEOUT_S = 20

MAX_STAKE_CENTS = 100_00
"""What the page lets anybody stake at once, in cents."""


class CallResponse(BaseModel):
    """A call that the provider made; `answer` is the code that it heard, None for nothing, whatever the `reply` was."""

    operation: str
    id: str
    attempt: int
    at_ms: int
    request: str
    status: int | None
    reply: str | None
    ms: float
    answer: int | None
    faults: tuple[str, ...]


class PlayResponse(BaseModel):
    """What a game came to, in cents, and what the player gets to see of it."""

    stake: int
    payout: int
    shown: tuple[str, ...]
    choice: str
    used: int | None


class RoundResponse(BaseModel):
    """A round in the provider's book, with every call that was made for it."""

    id: str
    protocol: str
    game: str
    player_id: str
    currency: str
    play: PlayResponse
    ending: str
    net: int
    calls: tuple[CallResponse, ...]


class _PlayReply(BaseModel):
    played: tuple[RoundResponse, ...]


class PlayRequest(NamedTuple):
    """One round to be played: with whose session, at which stake in cents, and how it is to be led astray."""

    protocol: str
    game: str
    token: str
    stake: int
    choice: str
    faults: Mapping[str, float]
    at: str | None
    lucky: bool


class PlayFailed(Exception):
    """The provider did not play; the message says why."""


async def play_round(provider_url: str, request: PlayRequest) -> RoundResponse:
    """Have the provider play one round. PlayFailed, in words."""
    fields = {name: value for name, value in request._asdict().items() if value not in (None, "")}
    try:
        async with httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False) as http:
            response = await http.post(f"{provider_url}/demo/play", json=fields)
        if response.status_code != 200:
            raise PlayFailed(response.json()["error"])
        return _PlayReply.model_validate_json(response.content).played[-1]
    except httpx2.HTTPError as error:
        raise PlayFailed(f"the provider does not answer ({type(error).__name__})") from error
    except (ValidationError, ValueError, KeyError, IndexError) as error:
        raise PlayFailed("the provider's answer makes no sense") from error
