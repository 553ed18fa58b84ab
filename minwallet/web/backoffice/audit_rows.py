"""The rows of the audit log as text for pages."""

import json
from typing import NamedTuple

from minwallet.storage.admin_store import AuditRecord
from minwallet.web.backoffice.agent_pages import agent_page_url as path_of_agent
from minwallet.web.backoffice.player_list import player_page_url as path_of_player
from minwallet.web.formatting import format_duration, format_money

ACTION_TEXTS = {
    "adjust": "adjusted the balance of",
    "admin_link": "created a sign-in link for",
    "admin_reset": "reset the sign-in of",
    "agent_add": "added agent",
    "agent_set": "changed agent",
    "callback_key_add": "created callback key",
    "callback_key_revoke": "revoked callback key",
    "deposit": "deposited for",
    "key_add": "created API key",
    "key_revoke": "revoked API key",
    "password_set": "set a password",
    "player_add": "added player",
    "player_set_status": "changed player",
    "protocol_secret_add": "added protocol secret",
    "protocol_secret_revoke": "revoked protocol secret",
    "seed": "imported a file of players",
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

PLAYER_ACTIONS = {
    *("deposit", "withdraw", "adjust", "player_add", "player_set_status", "session_end", "session_open"),
    *("limit_set", "player_exclude"),
}

AGENT_ACTIONS = {"agent_add", "agent_set"}

SELF_ACTIONS = {"sign_in", "sign_out", "password_set"}
"""Actions whose subject is the actor, so that the row omits the subject."""

AMOUNT_FIELDS = {"amount", "balance", "bonus"}


class AuditRow(NamedTuple):
    """A row of the audit log. `subject_url` is the page of its subject, "" if there is none."""

    number: int
    at_ms: int
    actor: str
    action_text: str
    agent: str
    subject: str
    subject_url: str
    details: str
    seq: int | None


def describe_audit_record(record: AuditRecord) -> AuditRow:
    """Return the row as text; an action that ACTION_TEXTS lacks appears under its own name."""
    number, (at_ms, actor, action, agent, subject, detail, seq) = record
    subject_text = "" if action in SELF_ACTIONS else subject or ""
    subject_url = ""
    if agent and subject and action in PLAYER_ACTIONS:
        subject_url = path_of_player(agent, subject)
    elif subject and action in AGENT_ACTIONS:
        subject_url = path_of_agent(subject)
    action_text = ACTION_TEXTS.get(action, action.replace("_", " "))
    if action == "sign_in_failed" and subject_text:
        action_text += " as"
    return AuditRow(
        number, at_ms, actor, action_text, agent or "", subject_text, subject_url, _describe_details(detail), seq
    )


def _describe_details(detail: str) -> str:
    """Return the details such as `currency USD, amount 12.50`, without empty and default values."""
    fields = json.loads(detail)
    parts = [
        f"{name.removesuffix('_s').replace('_', ' ')} {_format_value(name, value)}" for name, value in fields.items()
    ]
    is_empty = [value in ("", False, 0, []) and name != "amount" for name, value in fields.items()]
    shown_parts = [part for part, is_nothing in zip(parts, is_empty, strict=True) if not is_nothing]
    return ", ".join(shown_parts)


def _format_value(name: str, value: object) -> str:
    if value is True:
        return "yes"
    if value is None:
        return "none"
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, int) and name in AMOUNT_FIELDS:
        return format_money(value)
    if isinstance(value, int) and name == "ttl_s":
        return format_duration(value)
    return str(value)
