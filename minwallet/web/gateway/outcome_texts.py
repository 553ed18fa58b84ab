"""A provider call and its outcome in words, for the access log, the recorded calls and the metrics."""

from starlette.types import Scope

from minwallet.ledger.commands import Authenticate, Balance, Command, Group
from minwallet.ledger.entries import Refusal
from minwallet.ledger.outcomes import Applied, BalanceShown, GroupApplied, Outcome, Refused, Replayed, Unauthenticated
from minwallet.web.refusal_texts import REFUSAL_TEXTS

COMPRESSIONS = ("gzip", "deflate", "br", "zstd")


def find_compression(scope: Scope) -> str:
    """Return the reason of a body that is malformed because it is compressed, "" for another one."""
    encodings = {value.strip().lower() for name, value in scope["headers"] if name == b"content-encoding"}
    known = next((each for each in COMPRESSIONS if each.encode() in encodings), "")
    return known and f"the body is compressed (Content-Encoding: {known}); the wallet reads plain JSON"


def describe_outcome(outcome: Outcome | Unauthenticated, *, has_token: bool, is_of_agent: bool) -> tuple[str, str]:
    """Return the outcome in one fixed word, for the access log and the label of the metrics, and the reason of a
    refusal, "" for a success."""
    match outcome:
        case Applied():
            return str(outcome.entry.state), ""
        case GroupApplied(outcomes):
            return ("applied" if any(isinstance(each, Applied) for each in outcomes) else "replayed"), ""
        case BalanceShown():
            return "shown", ""
        case Replayed():
            return "replayed", ""
        case Unauthenticated(Refusal.SESSION_UNKNOWN) if has_token:
            return "session_unknown", f"no session {'of this agent ' if is_of_agent else ''}has this token"
        case Unauthenticated(Refusal.SESSION_UNKNOWN):
            return "session_unknown", "without a token a call needs a signature, or an agent's callback key in its path"
        case Unauthenticated(refusal) | Refused(refusal):
            return str(refusal), REFUSAL_TEXTS[refusal]


def find_transaction_id(command: Command) -> str:
    """Return the id of the command, of a group that of its first one, "" for a query."""
    match command:
        case Balance() | Authenticate():
            return ""
        case Group(commands):
            return commands[0].id
        case _:
            return command.id
