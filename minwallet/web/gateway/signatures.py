"""The check of signed requests: which agent's provider signed it, when, and under which nonce.

Rules

1. Every live secret is tried, each comparison in constant time, and none is skipped after a match. So the time of an
   answer says nothing about a secret, nor about the agent that has it.
2. The secret that matches names the agent. Below an agent's callback key, only that agent's secrets are tried.
3. A secret that two agents have names neither of them, so the call is refused.
4. The time and the nonce count only in a request whose signature is right. So a stranger cannot use up a nonce, and the
   memory holds nothing of a stranger.
5. A nonce may come again with the same signature: that is a retry, and the transaction's id decides what it gets.

Theory of operation

The wallet's protection against a repeated request is the transaction's id in the ledger. The nonces only show a
provider that uses one of them for two requests, so they may be in memory. Of each agent the newest MAX_NONCES are kept
until the request would be stale anyway. Nonces and signatures are kept as hashes of 64 bits, because they may be long.
"""

from collections.abc import Callable, Collection, Sequence
from hmac import compare_digest
from itertools import islice
from typing import NamedTuple, Protocol

from minwallet.protocols.wire import HttpRequest, Signature, SignatureScheme

MAX_NONCES = 50_000
"""The maximum of nonces in memory for each agent, at about 200 bytes each."""

MESSAGES = {
    "signature_missing": "the signature is missing",
    "signature_invalid": "the signature is wrong",
    "signature_stale": "the time of the signature is too far from the time of the wallet",
    "nonce_reused": "the nonce was used before",
}
"""The outcomes of a failed check, for the log and the metrics, each with the message for the provider."""


class AgentSecret(Protocol):
    """A secret that is valid now, and the agent that has it."""

    @property
    def agent_id(self) -> int: ...

    @property
    def secret(self) -> str: ...


class ValidSignature(NamedTuple):
    """The signature of a request, the agent whose provider signed it, and the live secrets of that agent.

    No list or journal may show the value or one of the secrets.
    """

    agent_id: int
    value: str
    secrets: Sequence[str]


class InvalidSignature(NamedTuple):
    """The outcome of a failed check, one of MESSAGES, and the reason for the operator."""

    outcome: str
    reason: str


class SignatureVerifier:
    """The check for one protocol. `find_secrets` returns the live secrets of an agent, or of all agents for None."""

    def __init__(
        self,
        protocol: str,
        scheme: SignatureScheme,
        find_secrets: Callable[[str, int | None], Sequence[AgentSecret]],
        clock_ms: Callable[[], int],
    ) -> None:
        self._protocol = protocol
        self._scheme = scheme
        self._find_secrets = find_secrets
        self._clock_ms = clock_ms
        self._nonces: dict[int, dict[int, tuple[int, int]]] = {}
        """For each agent its nonces, oldest first, each with the hash of its signature and the end of its freshness."""

    def verify(self, request: HttpRequest, agent_id: int | None = None) -> ValidSignature | InvalidSignature:
        """Return the agent whose provider signed the request, or why none did.

        `agent_id` is the agent that a callback key names. An exception of the scheme is not handled.
        """
        secrets = self._find_secrets(self._protocol, agent_id)
        signature = self._scheme.read(request)
        # An empty text proves nothing, even if a faulty protocol computes one.
        if signature is None or not signature.value:
            return InvalidSignature("signature_missing", "the request has no signature, or none that can be read")
        if not secrets:
            who = "no agent has a secret" if agent_id is None else "this agent has no secret"
            reason = f"{who}: add one with minwallet agent secret add AGENT {self._protocol}"
            return InvalidSignature("signature_invalid", reason)
        agents = self._find_signers(request, signature, secrets)
        if not agents:
            who = "any agent" if agent_id is None else "this agent"
            return InvalidSignature("signature_invalid", f"the signature fits no secret of {who}")
        if len(agents) > 1:
            reason = "several agents have the secret of this signature: give each of them its own"
            return InvalidSignature("signature_invalid", reason)
        (signer,) = agents
        now_ms = self._clock_ms()
        if signature.signed_at_ms is not None and abs(now_ms - signature.signed_at_ms) > self._scheme.max_age_ms:
            return InvalidSignature("signature_stale", self._describe_age(now_ms - signature.signed_at_ms))
        if signature.nonce is not None and not self._remember_nonce(signer, signature, now_ms):
            return InvalidSignature("nonce_reused", "another request of this provider had the same nonce")
        return ValidSignature(signer, signature.value, [each.secret for each in secrets if each.agent_id == signer])

    def _find_signers(
        self, request: HttpRequest, signature: Signature, secrets: Sequence[AgentSecret]
    ) -> Collection[int]:
        """Return the agents with a secret that makes this signature."""
        # As bytes, because `compare_digest` takes no text with other characters than ASCII.
        value = _encode(signature.value)
        signers: set[int] = set()
        for each in secrets:
            if compare_digest(_encode(self._scheme.compute(request, each.secret)), value):
                signers.add(each.agent_id)
        return signers

    def _describe_age(self, age_ms: int) -> str:
        limit_s = self._scheme.max_age_ms // 1000
        when = f"{age_ms // 1000} s ago" if age_ms > 0 else f"{-age_ms // 1000} s in the future"
        return f"the request says that it was signed {when}, and the limit is {limit_s} s; compare the two clocks"

    def _remember_nonce(self, agent_id: int, signature: Signature, now_ms: int) -> bool:
        """Store the nonce of a request. Return False if another request had it."""
        nonces = self._nonces.setdefault(agent_id, {})
        nonce, signature_hash = hash(signature.nonce), hash(signature.value)
        known = nonces.pop(nonce, None)
        if known is not None and known[1] >= now_ms:
            nonces[nonce] = known
            return known[0] == signature_hash
        # A request from the future stays fresh for longer.
        nonces[nonce] = signature_hash, max(now_ms, signature.signed_at_ms or 0) + self._scheme.max_age_ms
        if len(nonces) > MAX_NONCES:
            # Several at once: a dict takes long to find its first key after the ones before it were removed.
            for oldest in list(islice(nonces, 1 + MAX_NONCES // 10)):
                del nonces[oldest]
        return True


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
