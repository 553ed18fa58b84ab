"""Authentication of a request by its API key: `Authorization: Bearer KEY` (RFC 6750)."""

from starlette.requests import Request

from minwallet.operations.credentials import hash_secret
from minwallet.storage.actors import name_key
from minwallet.storage.admin_store import ApiKey
from minwallet.storage.store import Store
from minwallet.web.request_log import ACTOR


async def find_api_key(store: Store, request: Request) -> ApiKey | None:
    """Return the key of the request. Return None if there is none, or it is unknown or revoked. Raise StoreError.

    The name of a key is logged even if it is revoked, so that its users can be found.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    key = await store.admin.find_key(hash_secret(secret.strip()))
    if key is None:
        return None
    request.scope[ACTOR] = name_key(key.name)
    return key if key.revoked_at_ms is None else None
