"""The page's client of the demo provider: it plays one round and parses the reply."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import httpx2
from pydantic import BaseModel, ValidationError

from minwallet.bounded_http import exchange, open_client

TIMEOUT_S, MAX_REPLY_BYTES = 20, 1024 * 1024

MAX_STAKE_CENTS = 100_00
"""The maximum stake on the page, in cents."""


class CallResponse(BaseModel):
    """A call that the provider made.

    - `ids`: the ids of its transactions, of which `id` is the first.
    - `reply`: what the wallet sent.
    - `answer`: the code that the provider received, None if the reply was lost.
    """

    operation: str
    id: str
    ids: tuple[str, ...]
    attempt: int
    at_ms: int
    request: str
    status: int | None
    reply: str | None
    ms: float
    answer: int | str | None
    faults: tuple[str, ...]


class PlayResponse(BaseModel):
    """The result of a game. Amounts are in cents; `shown` is what the player sees."""

    stake: int
    payout: int
    shown: tuple[str, ...]
    choice: str
    used: int | None


class RoundResponse(BaseModel):
    """A round as the provider recorded it, with all its calls."""

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
    """A request for one round: the session's token and account, the stake in cents, and the faults to inject."""

    protocol: str
    game: str
    token: str
    player_id: str
    currency: str
    stake: int
    choice: str
    faults: Mapping[str, float]
    at: str | None
    lucky: bool


class PlayFailed(Exception):
    """The provider did not play; the message says why."""


async def play_round(provider_url: str, request: PlayRequest) -> RoundResponse:
    """Let the provider play one round and return it. Raise PlayFailed if it does not."""
    fields = {name: value for name, value in request._asdict().items() if value not in (None, "")}
    try:
        async with open_client() as http:
            reply = await exchange(
                http,
                "POST",
                f"{provider_url}/demo/play",
                content=json.dumps(fields).encode(),
                headers={"content-type": "application/json"},
                timeout_s=TIMEOUT_S,
                max_bytes=MAX_REPLY_BYTES,
            )
        if reply.status != 200:
            raise PlayFailed(json.loads(reply.body)["error"])
        return _PlayReply.model_validate_json(reply.body).played[-1]
    except httpx2.HTTPError as error:
        raise PlayFailed(f"the provider does not answer ({type(error).__name__})") from error
    except (ValidationError, ValueError, KeyError, IndexError) as error:
        raise PlayFailed("the provider's reply cannot be parsed") from error
