"""A request with a protocol secret shows it nowhere but in its own JSON, which goes to the server."""

import json

import pytest
from pydantic import ValidationError

from minwallet.operations.access_requests import ProtocolSecretAdd, ProtocolSecretRevoke
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import ErrorCode, OperationFailure
from minwallet.operations.field_help import format_validation_error
from minwallet.operations.requests import Envelope, OperationRequest, Reply
from minwallet.storage.models import LiveSecret
from minwallet.wallet.service import Wallet
from tests.storage.reference_engine.memory_store import MemoryStore

SECRET = "the-secret-of-a-provider"


def test_a_request_is_not_shown_with_its_secret() -> None:
    """Its JSON has the secret, as the server needs it."""
    request = ProtocolSecretAdd(agent="default", protocol="signed", secret=SECRET)
    envelope = Envelope(actor="test", request=request)
    assert SECRET not in f"{request!r} {request} {envelope!r} {envelope}"
    assert Envelope.model_validate_json(envelope.model_dump_json()) == envelope
    assert json.loads(envelope.model_dump_json())["request"]["secret"] == SECRET


@pytest.mark.parametrize("secret", [f"{SECRET} ", f"{SECRET}{'x' * 256}", [SECRET], {SECRET: 1}, None])
def test_an_error_about_a_secret_does_not_show_it(secret: object) -> None:
    """This holds for our message, and for the text of the exception, which a traceback would have."""
    fields = {"agent": "default", "protocol": "signed", "secret": secret}
    for model, document in (
        (ProtocolSecretAdd, fields),
        (Envelope, {"actor": "test", "request": {"operation": "protocol_secret_add", **fields}}),
    ):
        with pytest.raises(ValidationError) as caught:
            model.model_validate_json(json.dumps(document))
        message = format_validation_error(caught.value)
        assert message == "invalid secret: expected 4 to 256 printable ASCII characters without spaces"
        assert SECRET not in str(caught.value)


@pytest.mark.anyio
async def test_a_secret_of_another_agent_is_refused() -> None:
    """With it, every call of both agents would be refused. The message does not name the other agent."""
    wallet = Wallet(MemoryStore(), lambda: 1000)
    await wallet.store.accounts.add_agent("two", "two", None, 0)

    async def run(request: OperationRequest) -> Reply | OperationFailure:
        return await execute(wallet, request, "admin boss")

    first = await run(ProtocolSecretAdd(agent="default", protocol="signed", secret=SECRET))
    assert not isinstance(first, OperationFailure)
    add = ProtocolSecretAdd(agent="two", protocol="signed", secret=SECRET)
    refused = await run(add)
    assert isinstance(refused, OperationFailure)
    assert refused.code is ErrorCode.TAKEN
    reason = "another agent already has this secret for signed; each agent needs a secret of its own"
    assert refused.reasons == (reason,)
    assert wallet.protocol_secrets.find("signed") == [LiveSecret(1, SECRET)]
    await run(ProtocolSecretRevoke(agent="default", protocol="signed", fingerprint=first["fingerprint"]))
    assert not isinstance(await run(add), OperationFailure)
    again = await run(ProtocolSecretAdd(agent="default", protocol="signed", secret=SECRET))
    assert isinstance(again, OperationFailure)
    assert wallet.protocol_secrets.find("signed") == [LiveSecret(2, SECRET)]


@pytest.mark.anyio
async def test_a_change_is_in_force_after_its_reply() -> None:
    """The secrets in memory are refreshed. A refused request changes nothing."""
    wallet = Wallet(MemoryStore(), lambda: 1000)

    async def run(request: OperationRequest) -> Reply | OperationFailure:
        return await execute(wallet, request, "admin boss")

    add = ProtocolSecretAdd(agent="default", protocol="signed", secret=SECRET)
    added = await run(add)
    assert not isinstance(added, OperationFailure)
    assert wallet.protocol_secrets.find("signed") == [LiveSecret(1, SECRET)]
    for request, code in {
        add: ErrorCode.TAKEN,
        add.model_copy(update={"agent": "nobody"}): ErrorCode.NOT_FOUND,
        add.model_copy(update={"protocol": "vela"}): ErrorCode.NOT_POSSIBLE,
        add.model_copy(update={"protocol": "nothing"}): ErrorCode.NOT_POSSIBLE,
    }.items():
        refused = await run(request)
        assert isinstance(refused, OperationFailure)
        assert refused.code is code
        assert SECRET not in str(refused)
    await run(ProtocolSecretRevoke(agent="default", protocol="signed", fingerprint=added["fingerprint"]))
    assert not wallet.protocol_secrets.find("signed")
