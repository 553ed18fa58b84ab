"""The next command to run after a failed operation, by error code and subject."""

from collections.abc import Mapping

from minwallet.operations.errors import ErrorCode, OperationFailure, Subject

HINTS: Mapping[tuple[ErrorCode, Subject], str] = {
    (ErrorCode.NOT_FOUND, Subject.AGENT): "see: minwallet agent list",
    (ErrorCode.TAKEN, Subject.AGENT): "see: minwallet agent list",
    (ErrorCode.NOT_POSSIBLE, Subject.AGENT): "add it with: minwallet agent add {agent}",
    (ErrorCode.NOT_FOUND, Subject.PLAYER): "see: minwallet player list --agent {agent}",
    (ErrorCode.TAKEN, Subject.ACCOUNT): "add money with: minwallet deposit",
    (ErrorCode.NOT_POSSIBLE, Subject.CURRENCY): "use --currency",
    (ErrorCode.NOT_FOUND, Subject.ENTRY): "see: minwallet ledger ID",
    (ErrorCode.NOT_FOUND, Subject.KEY): "see: minwallet key list",
    (ErrorCode.NOT_FOUND, Subject.CALLBACK_KEY): "see: minwallet agent callback-key list {agent}",
    (ErrorCode.NOT_FOUND, Subject.PROTOCOL_SECRET): "see: minwallet agent secret list {agent}",
    (ErrorCode.NOT_FOUND, Subject.ADMIN): "see: minwallet admin list",
    (ErrorCode.NOT_POSSIBLE, Subject.GAME_LIST): "fetch it with: minwallet games --agent {agent}",
    (ErrorCode.NOT_POSSIBLE, Subject.GAME): "fetch a new list with: minwallet games --agent {agent}",
    (ErrorCode.NOT_POSSIBLE, Subject.REPORT): "run: minwallet report pull --agent {agent}",
    (ErrorCode.NOT_POSSIBLE, Subject.SETTING): "set it with: minwallet agent set {agent} --{setting} …",
    (ErrorCode.NOT_POSSIBLE, Subject.PROVIDER): "see: minwallet agent show {agent}",
    (ErrorCode.NOT_POSSIBLE, Subject.PROTOCOL_SECRET): "add one with: minwallet agent secret add {agent} {protocol}",
    (ErrorCode.NOT_POSSIBLE, Subject.SERVICE): "see: minwallet protocols",
}
"""The placeholders are filled from the failure's data."""

OTHER_AGENT_HINT = "agent {other_agents} has one: add --agent {other_agents}"
"""The hint for an unknown player whom another agent has, which `data` then names."""

OTHER_AGENTS_HINT = "agents {other_agents} have one: add --agent with one of them"

NEW_WALLET_HINT = "choose another with --db, or create one with: minwallet --db {path} serve"
"""What follows the message of a DatabaseNotFound."""

NEW_AGENT_HINT = "first run: minwallet agent add {agent} --wallet-token TOKEN"
"""What follows the message of an ImportRejected that names an agent."""

TIMEOUT_HINT = ", or wait longer with --timeout"
"""What follows the message of a ProviderTimedOut."""


def format_failure(failure: OperationFailure) -> list[str]:
    """Return the lines for a terminal: one a reason, the last with the hint if there is one."""
    *others, last = failure.reasons
    hint = HINTS.get((failure.code, failure.subject)) if failure.subject else None
    if other_agents := failure.data.get("other_agents", "").split():
        hint = OTHER_AGENT_HINT if len(other_agents) == 1 else OTHER_AGENTS_HINT
    data = {**failure.data, "other_agents": ", ".join(other_agents)}
    return [*others, f"{last}; {hint.format_map(data)}" if hint else last]
