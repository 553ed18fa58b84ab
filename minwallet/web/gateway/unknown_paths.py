"""Calls to a path that looks like a provider endpoint and is none: a wrong key, a missing part, one slash too many.

Such a call gets 404 and moves nothing. It is the first mistake in the connection of a provider, so it gets a line in
the access log and a place among the recorded calls. Neither shows the path: it may contain a mistyped key, or the real
one. They show the known part of it, such as `/…/wallet`, and the reason.
"""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from secrets import compare_digest
from time import perf_counter
from typing import NamedTuple

from starlette.types import Scope

from minwallet.protocols.wire import WireProtocol
from minwallet.wallet.callback_keys import CALLBACK_KEY_PREFIX
from minwallet.web.gateway.access_log import AccessLog
from minwallet.web.gateway.asgi import AGENT_ID
from minwallet.web.gateway.client_address import ClientAddresses
from minwallet.web.gateway.http_protocol import UI_PATH_PREFIXES
from minwallet.web.gateway.recent_calls import RecentCalls, RecordedCall
from minwallet.web.metrics import UNKNOWN_OPERATION

HIDDEN = "…"
"""The text in place of a part of the path that may be a secret."""

MAX_COMPARED_LENGTH = 64

UNKNOWN_PROTOCOL = "unknown"


class UnknownPath(NamedTuple):
    """A path that leads nowhere. `protocol` is None if its end is not known; `shown` is the path without secrets.

    `has_key` is true if the path begins with a valid callback key.
    """

    protocol: WireProtocol | None
    operation: str
    shown: str
    reason: str
    has_key: bool


class PathExplainer:
    """The reasons why a path is not a provider endpoint. `callback_key` is "" if there is none."""

    def __init__(self, protocols: Iterable[WireProtocol], callback_key: str) -> None:
        self._patterns = [
            (protocol, route.operation, route.path, route.path.strip("/").split("/"))
            for protocol in protocols
            for route in protocol.routes
        ]
        # The longest first, so that `/wallet/{wallet_token}` is found before a shorter path with the same end.
        self._patterns.sort(key=lambda each: len(each[3]), reverse=True)
        self._first_words = {words[0] for *_, words in self._patterns}
        self._callback_key = callback_key

    def explain(self, path: str, *, is_below_agent_key: bool = False) -> UnknownPath | None:
        """Return what is wrong with the path of a call, or None if it does not look like a provider endpoint.

        `is_below_agent_key` says that an agent's valid key was already removed from the path.
        """
        words = [word for word in path.split("/") if word]
        if path.startswith(UI_PATH_PREFIXES) and not is_below_agent_key:
            return None
        has_callback_key = not is_below_agent_key and self._begins_with_callback_key(words)
        has_key = is_below_agent_key or has_callback_key
        words = words[has_callback_key:]
        for protocol, operation, pattern, ends in self._patterns:
            before = words[: len(words) - len(ends)]
            if len(words) >= len(ends) and all(map(_matches, words[len(before) :], ends)):
                reason = self._explain_known_end(path, before, pattern, has_key=has_key)
                shown = f"/{HIDDEN}{pattern}" if before else pattern
                return UnknownPath(protocol, operation, shown, reason, has_key)
        if has_key:
            reason = f"unknown path below the callback key ({_count_segments(words)}){self._suggest(words)}"
            return UnknownPath(None, "", f"/{HIDDEN}", reason, has_key)
        if words and words[0] in self._first_words:
            reason = f"unknown path below '/{words[0]}' ({_count_segments(words)}){self._suggest(words)}"
            return UnknownPath(None, "", f"/{words[0]}/{HIDDEN}", reason, has_key)
        return None

    def _explain_known_end(self, path: str, before: list[str], pattern: str, *, has_key: bool) -> str:
        """Return what is wrong with a path that ends like an endpoint. `before` are the words between it and a key."""
        needs_key = bool(self._callback_key) and not has_key
        if not before and needs_key:
            return f"the path has no callback key: expected '/KEY{pattern}'"
        if not before and ("//" in path or path.endswith("/")):
            return f"the path has a slash too many: expected '{pattern}' at its end"
        if not before:
            return "the path lacks the agent's wallet token, which MINWALLET_REQUIRE_WALLET_TOKEN demands"
        if len(before) > 1 or has_key:
            return f"unknown words before '{pattern}' ({_count_segments(before)})"
        if needs_key or before[0].startswith(CALLBACK_KEY_PREFIX):
            return "wrong or revoked callback key"
        return f"unknown word before '{pattern}': MINWALLET_CALLBACK_KEY is not set, and no agent has such a key"

    def _suggest(self, words: list[str]) -> str:
        """Return the path that was probably meant, for the end of a reason, "" if none is similar."""
        path = f"/{'/'.join(words)}"
        # Comparing long texts is slow, and no path of a provider is long.
        known = [pattern for _, _, pattern, _ in self._patterns] if len(path) <= MAX_COMPARED_LENGTH else []
        found = get_close_matches(path, known, n=1, cutoff=0.8)
        return f"; did you mean '{found[0]}'?" if found else ""

    def _begins_with_callback_key(self, words: list[str]) -> bool:
        first = words[0] if words else ""
        # In constant time, as in StaticRouter: the time must not tell how much of a guessed key is right.
        is_equal = compare_digest(first.encode(errors="replace"), self._callback_key.encode())
        return is_equal and bool(self._callback_key)


class UnknownPathLog:
    """Access log and recorded calls of paths that lead nowhere. `access_logs` has one log for each protocol."""

    def __init__(
        self,
        explainer: PathExplainer,
        access_logs: Mapping[str, AccessLog],
        calls: RecentCalls,
        addresses: ClientAddresses,
        clock_ms: Callable[[], int],
    ) -> None:
        self._explainer = explainer
        self._access_logs = access_logs
        self._calls = calls
        self._addresses = addresses
        self._clock_ms = clock_ms

    def record(self, scope: Scope) -> bool:
        """Record a call to an unknown path. Return False, and do nothing, if it does not look like a provider call."""
        started = perf_counter()
        found = self._explainer.explain(scope["path"], is_below_agent_key=AGENT_ID in scope)
        if found is None:
            return False
        name = found.protocol.name if found.protocol else UNKNOWN_PROTOCOL
        call = RecordedCall(found.protocol, scope["method"], found.shown, found.operation or UNKNOWN_OPERATION)
        call.at_ms, call.seconds = self._clock_ms(), perf_counter() - started
        call.address, call.agent_id, call.transaction = self._addresses.resolve(scope), scope.get(AGENT_ID), ""
        call.outcome, call.reason, call.reply = "http 404", found.reason, b"Not Found"
        self._access_logs[name].write(call)
        self._calls.add(call, is_turned_away=not found.has_key)
        return True


def _matches(word: str, pattern: str) -> bool:
    return word == pattern or pattern.startswith("{")


def _count_segments(words: list[str]) -> str:
    return f"{len(words)} segment{'' if len(words) == 1 else 's'}"
