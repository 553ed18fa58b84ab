"""The JSON replies about access: API keys, callback keys, protocol secrets and admins."""

from typing_extensions import TypedDict  # pydantic reads only this one's before Python 3.12

from minwallet.operations.timestamps import format_iso
from minwallet.storage.admin_store import Admin, ApiKey, EndedAccess


class ApiKeyResponse(TypedDict):
    """`key` is only the beginning of the key; `agent` is null if the key covers all agents. `created_by` is the actor
    who made the key, null if it was made before makers were recorded.
    """

    name: str
    key: str
    scope: str
    agent: str | None
    created_at: str | None
    created_by: str | None
    revoked_at: str | None


class NewCallbackKeyResponse(TypedDict):
    """`callback_key` is the whole key; it is shown only now."""

    agent: str
    callback_key: str


class CallbackKeyResponse(TypedDict):
    """`callback_key` is only the beginning of the key; `created_by` is the author as in the audit log."""

    agent: str
    callback_key: str
    created_at: str | None
    created_by: str
    revoked_at: str | None


class ProtocolSecretResponse(TypedDict):
    """`fingerprint` identifies the secret, which is never shown; `created_by` is the author as in the audit log."""

    agent: str
    protocol: str
    fingerprint: str
    created_at: str | None
    created_by: str
    revoked_at: str | None


class AdminResponse(TypedDict):
    """An admin without a password can sign in by link only."""

    name: str
    has_password: bool


class AdminResetResponse(AdminResponse):
    """The access that a reset of an admin ended, and the access that remains.

    - Ended: the admin's sessions; the links of and by the admin, as the names of their admins; the API keys, callback
      keys and protocol secrets that the admin made; the sessions of players that the admin opened.
    - A callback key is written as its beginning and its agent, such as `mwc_9f3a61c2… of agent brand2`. A protocol
      secret is written as its protocol, its fingerprint and its agent.
    - Not ended: the admins in `admins_invited`, and the keys in `keys_without_maker`, which are older than the record
      of makers.
    """

    sessions_ended: int
    links_ended: list[str]
    keys_revoked: list[str]
    callback_keys_revoked: list[str]
    protocol_secrets_revoked: list[str]
    player_sessions_revoked: int
    admins_invited: list[str]
    keys_without_maker: list[str]


def build_api_key_response(found: ApiKey) -> ApiKeyResponse:
    return ApiKeyResponse(
        name=found.name,
        key=found.hint,
        scope=found.scope,
        agent=found.agent,
        created_at=format_iso(found.created_at_ms),
        created_by=found.created_by,
        revoked_at=format_iso(found.revoked_at_ms),
    )


def build_admin_response(found: Admin) -> AdminResponse:
    return AdminResponse(name=found.name, has_password=found.password is not None)


def build_admin_reset_response(name: str, ended: EndedAccess) -> AdminResetResponse:
    return AdminResetResponse(
        name=name,
        has_password=False,
        sessions_ended=ended.sessions,
        links_ended=list(ended.links),
        keys_revoked=list(ended.keys),
        callback_keys_revoked=list(ended.callback_keys),
        protocol_secrets_revoked=list(ended.protocol_secrets),
        player_sessions_revoked=ended.player_sessions,
        admins_invited=list(ended.invited),
        keys_without_maker=list(ended.keys_without_maker),
    )
