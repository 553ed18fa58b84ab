"""The requests about access to the wallet: API keys, callback keys, protocol secrets, and admins.

The docstrings of some models are shown in the documentation of the admin API.
"""

from typing import Annotated, Literal

from pydantic import Field

from minwallet.operations.base_request import BaseRequest
from minwallet.operations.field_types import Name, NewName, Secret
from minwallet.storage.admin_store import KeyScope


class KeyAdd(BaseRequest):
    """A new key of the admin API. Without an agent it covers all of them."""

    operation: Literal["key_add"] = "key_add"
    name: NewName
    scope: KeyScope
    agent: Name | None = None


class KeyList(BaseRequest):
    operation: Literal["key_list"] = "key_list"


class KeyRevoke(BaseRequest):
    operation: Literal["key_revoke"] = "key_revoke"
    name: Name


class CallbackKeyAdd(BaseRequest):
    """A new callback key of the agent. The reply contains it, and only the reply."""

    operation: Literal["callback_key_add"] = "callback_key_add"
    agent: Name


class CallbackKeyList(BaseRequest):
    """The agent's callback keys, revoked ones included. Of each key only the beginning is known."""

    operation: Literal["callback_key_list"] = "callback_key_list"
    agent: Name


class CallbackKeyRevoke(BaseRequest):
    """Revoke a callback key immediately and permanently. No other live key may have the prefix."""

    operation: Literal["callback_key_revoke"] = "callback_key_revoke"
    agent: Name
    key_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,44}…?$")]


class ProtocolSecretAdd(BaseRequest):
    """A secret with which the provider signs its calls of this protocol. Several are valid at once. The secret is never
    shown again; the reply has its fingerprint.
    """

    operation: Literal["protocol_secret_add"] = "protocol_secret_add"
    agent: Name
    protocol: Name
    secret: Secret


class ProtocolSecretList(BaseRequest):
    """The agent's protocol secrets, revoked ones included. Of each secret only the fingerprint is shown."""

    operation: Literal["protocol_secret_list"] = "protocol_secret_list"
    agent: Name


class ProtocolSecretRevoke(BaseRequest):
    """Revoke a protocol secret immediately, and delete it. No other live secret of the agent for this protocol may have
    a fingerprint that begins like this.
    """

    operation: Literal["protocol_secret_revoke"] = "protocol_secret_revoke"
    agent: Name
    protocol: Name
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{1,12}$")]


class AdminLink(BaseRequest):
    """A new one-time link that signs an admin in to the back office."""

    operation: Literal["admin_link"] = "admin_link"
    name: NewName = "admin"


class AdminReset(BaseRequest):
    """The end of an admin's sessions, links and password, and of the access that the admin gave to others.

    With `keep_keys` the API keys, the callback keys, the protocol secrets and the sessions of players stay.
    """

    operation: Literal["admin_reset"] = "admin_reset"
    name: Name
    keep_keys: bool = False


class AdminList(BaseRequest):
    operation: Literal["admin_list"] = "admin_list"


AdminRequest = KeyAdd | KeyList | KeyRevoke | AdminLink | AdminReset | AdminList

CallbackKeyRequest = CallbackKeyAdd | CallbackKeyList | CallbackKeyRevoke

ProtocolSecretRequest = ProtocolSecretAdd | ProtocolSecretList | ProtocolSecretRevoke
