"""The check of signatures: secrets, time and nonces."""

import hmac
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from minwallet.protocols.wire import HttpRequest, Signature
from minwallet.web.gateway import signatures
from minwallet.web.gateway.signatures import InvalidSignature, SignatureVerifier, ValidSignature

NOW_MS, MAX_AGE_MS = 1_695_266_603_000, 30_000

ONE, TWO = 1, 2
"""Two agents."""


class Secret(NamedTuple):
    agent_id: int
    secret: str


class HeaderSignature:
    """A signature over the body and the nonce. The time is not signed, so a test can change it alone."""

    max_age_ms = MAX_AGE_MS

    def read(self, request: HttpRequest) -> Signature | None:
        value, nonce, at = (request.get_header(name) for name in ("x-sign", "x-nonce", "x-time"))
        return None if value is None else Signature(value, None if at is None else int(at), nonce)

    def compute(self, request: HttpRequest, secret: str) -> str:
        return hmac.digest(secret.encode(), request.body + (request.get_header("x-nonce") or "").encode(), "md5").hex()

    def sign(self, request: HttpRequest, secret: str, now_ms: int) -> HttpRequest:
        dated = request.add_headers(x_time=str(now_ms))
        return dated.add_headers(x_sign=self.compute(dated, secret))


class Clock:
    """A clock that the test sets."""

    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


def make_verifier(*secrets: Secret, clock: Clock | None = None) -> SignatureVerifier:
    def find_secrets(protocol: str, agent_id: int | None) -> Sequence[Secret]:
        assert protocol == "orbit"
        return [each for each in secrets if agent_id in (None, each.agent_id)]

    return SignatureVerifier("orbit", HeaderSignature(), find_secrets, clock or Clock())


def make_request(secret: str, body: bytes = b"bet", nonce: str | None = None, *, at_ms: int = NOW_MS) -> HttpRequest:
    request = HttpRequest("POST", "/orbit", body=body)
    return HeaderSignature().sign(request.add_headers(x_nonce=nonce) if nonce else request, secret, at_ms)


def verify(verifier: SignatureVerifier, request: HttpRequest, agent_id: int | None = None) -> int | str:
    """Return the agent, or the outcome of a failed check."""
    result = verifier.verify(request, agent_id)
    return result.agent_id if isinstance(result, ValidSignature) else result.outcome


def test_the_secret_names_the_agent() -> None:
    """Several secrets of one agent are valid at once."""
    verifier = make_verifier(Secret(TWO, "new"), Secret(TWO, "old"), Secret(ONE, "other"))
    assert [verify(verifier, make_request(secret)) for secret in ("new", "old", "other")] == [TWO, TWO, ONE]
    assert verify(verifier, make_request("unknown")) == "signature_invalid"
    assert verify(verifier, make_request("old")._replace(body=b"another")) == "signature_invalid"
    assert verifier.verify(make_request("new")) == ValidSignature(
        TWO, HeaderSignature().compute(make_request("new"), "new"), ["new", "old"]
    )


def test_every_secret_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of the check does not tell which secret matches, nor where the first difference is."""
    compared: list[bytes] = []

    def compare(mine: bytes, theirs: bytes) -> bool:
        compared.append(mine)
        return hmac.compare_digest(mine, theirs)

    monkeypatch.setattr(signatures, "compare_digest", compare)
    verifier = make_verifier(Secret(ONE, "first"), Secret(TWO, "second"), Secret(TWO, "third"))
    assert verify(verifier, make_request("first")) == ONE
    assert len(compared) == 3


def test_a_key_of_an_agent_limits_the_secrets() -> None:
    """Below an agent's callback key, another agent's signature is wrong."""
    verifier = make_verifier(Secret(ONE, "one"), Secret(TWO, "two"))
    assert verify(verifier, make_request("one"), ONE) == ONE
    assert verify(verifier, make_request("two"), ONE) == "signature_invalid"


def test_a_secret_of_two_agents_names_neither() -> None:
    """Otherwise one agent's provider could move the money of the other agent's players."""
    verifier = make_verifier(Secret(ONE, "same"), Secret(TWO, "same"))
    result = verifier.verify(make_request("same"))
    assert isinstance(result, InvalidSignature)
    assert (result.outcome, "several agents" in result.reason) == ("signature_invalid", True)
    assert verify(verifier, make_request("same"), TWO) == TWO


def test_without_a_secret_the_reason_is_the_command() -> None:
    """It says how to add one."""
    for agent_id, who in ((None, "no agent has a secret"), (ONE, "this agent has no secret")):
        result = make_verifier().verify(make_request("any"), agent_id)
        reason = f"{who}: add one with minwallet agent secret add AGENT orbit"
        assert result == InvalidSignature("signature_invalid", reason)


@pytest.mark.parametrize("value", ["é", "\ud800", "x" * 5000])
def test_any_text_is_a_signature(value: str) -> None:
    """It is wrong, and no error."""

    class AnyText(HeaderSignature):
        def read(self, request: HttpRequest) -> Signature | None:
            return Signature(value)

    verifier = SignatureVerifier("orbit", AnyText(), lambda *_: [Secret(ONE, "one")], Clock())
    assert verify(verifier, make_request("one")) == "signature_invalid"


def test_an_empty_signature_is_a_missing_one() -> None:
    """It is missing even if a faulty protocol computes an empty signature, so that it is never right."""

    class Empty(HeaderSignature):
        def read(self, request: HttpRequest) -> Signature | None:
            return Signature("")

        def compute(self, request: HttpRequest, secret: str) -> str:
            return ""

    verifier = SignatureVerifier("orbit", Empty(), lambda *_: [Secret(ONE, "one")], Clock())
    assert verify(verifier, make_request("one")) == "signature_missing"


def test_a_missing_signature_has_its_own_outcome() -> None:
    """No secret is tried."""
    assert verify(make_verifier(Secret(ONE, "one")), HttpRequest("POST", "/orbit")) == "signature_missing"


@pytest.mark.parametrize(
    ("age_ms", "result"),
    [
        (0, ONE),
        (MAX_AGE_MS, ONE),
        (-MAX_AGE_MS, ONE),
        (MAX_AGE_MS + 1, "signature_stale"),
        (-MAX_AGE_MS - 1, "signature_stale"),
    ],
)
def test_a_signature_is_fresh_for_a_while(age_ms: int, result: int | str) -> None:
    """The limit holds for both directions, because clocks differ."""
    assert verify(make_verifier(Secret(ONE, "one")), make_request("one", at_ms=NOW_MS - age_ms)) == result


def test_a_nonce_comes_again_only_in_a_retry() -> None:
    """The same signature is a retry. Each agent has nonces of its own."""
    verifier = make_verifier(Secret(ONE, "one"), Secret(TWO, "two"))
    bet, other = make_request("one", b"bet", "n1"), make_request("one", b"other", "n1")
    assert [verify(verifier, each) for each in (bet, bet, other, bet)] == [ONE, ONE, "nonce_reused", ONE]
    assert verify(verifier, make_request("one", b"other", "n2")) == ONE
    assert verify(verifier, make_request("two", b"other", "n1")) == TWO


def test_a_wrong_or_stale_request_uses_up_no_nonce() -> None:
    """A stranger could block the provider's calls otherwise."""
    verifier = make_verifier(Secret(ONE, "one"))
    assert verify(verifier, make_request("guessed", b"evil", "n1")) == "signature_invalid"
    assert verify(verifier, make_request("one", b"old", "n1", at_ms=0)) == "signature_stale"
    assert verify(verifier, make_request("one", b"bet", "n1")) == ONE


@pytest.mark.parametrize(("ahead_ms", "lifetime_ms"), [(0, MAX_AGE_MS), (MAX_AGE_MS, 2 * MAX_AGE_MS)])
def test_a_nonce_is_known_as_long_as_its_request_is_fresh(ahead_ms: int, lifetime_ms: int) -> None:
    """A request from a clock that is ahead stays fresh for longer. After that the memory is free again."""
    clock = Clock()
    verifier = make_verifier(Secret(ONE, "one"), clock=clock)
    assert verify(verifier, make_request("one", b"bet", "n1", at_ms=NOW_MS + ahead_ms)) == ONE
    clock.now_ms = NOW_MS + lifetime_ms
    assert verify(verifier, make_request("one", b"other", "n1", at_ms=clock.now_ms)) == "nonce_reused"
    clock.now_ms += 1
    assert verify(verifier, make_request("one", b"other", "n1", at_ms=clock.now_ms)) == ONE
    assert len(verifier._nonces[ONE]) == 1


def test_the_nonces_in_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first."""
    monkeypatch.setattr(signatures, "MAX_NONCES", 3)
    verifier = make_verifier(Secret(ONE, "one"))
    for number in range(5):
        assert verify(verifier, make_request("one", b"bet", f"n{number}")) == ONE
    assert len(verifier._nonces[ONE]) == 3
    assert verify(verifier, make_request("one", b"other", "n4")) == "nonce_reused"
    assert verify(verifier, make_request("one", b"other", "n0")) == ONE
