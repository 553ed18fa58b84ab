"""The outcome of a provider call in words, for the access log, the recorded calls and the metrics."""

from starlette.types import Scope

from minwallet.ledger.outcomes import Applied, BalanceShown, Outcome, Refused, Replayed, SessionUnknown
from minwallet.web.gateway.asgi import AGENT_ID
from minwallet.web.refusal_texts import REFUSAL_TEXTS

COMPRESSIONS = ("gzip", "deflate", "br", "zstd")


def find_compression(scope: Scope) -> str:
    """Return the reason of a body that is malformed because it is compressed, "" for another one."""
    encodings = {value.strip().lower() for name, value in scope["headers"] if name == b"content-encoding"}
    known = next((each for each in COMPRESSIONS if each.encode() in encodings), "")
    return known and f"the body is compressed (Content-Encoding: {known}); the wallet reads plain JSON"


def describe_outcome(outcome: Outcome | SessionUnknown, scope: Scope) -> tuple[str, str]:
    """Return the outcome in one fixed word, for the access log and the label of the metrics, and the reason of a
    refusal, "" for a success."""
    match outcome:
        case Applied():
            return str(outcome.entry.state), ""
        case BalanceShown():
            return "shown", ""
        case Replayed():
            return "replayed", ""
        case SessionUnknown(refusal):
            is_of_agent = AGENT_ID in scope or "wallet_token" in scope["path_params"]
            return str(refusal), f"no session {'of this agent ' if is_of_agent else ''}has this token"
        case Refused(refusal):
            return str(refusal), REFUSAL_TEXTS[refusal]
