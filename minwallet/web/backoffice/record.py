"""The record of who did what, in words for people."""

import json
from typing import NamedTuple

from minwallet.storage.admin_store import AuditRecord
from minwallet.web.backoffice.agents import path_of as path_of_agent
from minwallet.web.backoffice.players import path_of as path_of_player
from minwallet.web.formatting import format_duration, format_money

WORDS = {
    "admin_link": "made a sign-in link for",
    "admin_reset": "signed out and took the password of",
    "agent_add": "added agent",
    "agent_set": "changed agent",
    "deposit": "deposited for",
    "key_add": "made API key",
    "key_revoke": "revoked API key",
    "password_set": "set a password",
    "player_add": "added player",
    "player_set_status": "changed player",
    "seed": "took in a file of players",
    "session_end": "revoked a session of",
    "session_open": "opened a session for",
    "player_exclude": "changed the exclusion of",
    "limit_set": "set a limit of",
    "session_revoke": "revoked a session",
    "sign_in": "signed in",
    "sign_in_failed": "failed to sign in",
    "sign_out": "signed out",
    "withdraw": "withdrew from",
}

OF_PLAYERS = {
    *("deposit", "withdraw", "player_add", "player_set_status", "session_end", "session_open"),
    *("limit_set", "player_exclude"),
}

OF_AGENTS = {"agent_add", "agent_set"}

THEMSELVES = {"sign_in", "sign_out", "password_set"}
"""What people do about nobody but themselves, so that the subject says nothing new."""

AMOUNTS = {"amount", "balance", "bonus"}


class Told(NamedTuple):
    """A row of the record. `path` is where its subject has a page, "" where it has none."""

    number: int
    at_ms: int
    actor: str
    what: str
    agent: str
    subject: str
    path: str
    details: str
    seq: int | None


def tell(numbered: AuditRecord) -> Told:
    """The row in words; an action that has none is told by its name."""
    number, (at_ms, actor, action, agent, subject, detail, seq) = numbered
    told = "" if action in THEMSELVES else subject or ""
    path = ""
    if agent and subject and action in OF_PLAYERS:
        path = path_of_player(agent, subject)
    elif subject and action in OF_AGENTS:
        path = path_of_agent(subject)
    what = WORDS.get(action, action.replace("_", " "))
    if action == "sign_in_failed" and told:
        what += " as"
    return Told(number, at_ms, actor, what, agent or "", told, path, _details(detail), seq)


def _details(detail: str) -> str:
    """`currency USD, amount 12.50`, without what is not worth telling."""
    found = json.loads(detail)
    parts = [f"{name.removesuffix('_s').replace('_', ' ')} {_show(name, value)}" for name, value in found.items()]
    nothing = [value in ("", False, 0) and name != "amount" for name, value in found.items()]
    worth = [part for part, is_nothing in zip(parts, nothing, strict=True) if not is_nothing]
    return ", ".join(worth)


def _show(name: str, value: object) -> str:
    if value is True:
        return "yes"
    if value is None:
        return "none"
    if isinstance(value, int) and name in AMOUNTS:
        return format_money(value)
    if isinstance(value, int) and name == "ttl_s":
        return format_duration(value)
    return str(value)
