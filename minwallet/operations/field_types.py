"""The shapes of the fields that operators give, as pydantic types."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from minwallet.ledger.money import MAX_CENTS
from minwallet.ledger.reconciliation import MAX_PLAYER_ID_LENGTH
from minwallet.protocols.registry import list_protocols
from minwallet.storage.models import OPENING_PROTOCOL, OPERATOR_PROTOCOL
from minwallet.wallet.sessions import TOKEN_PATTERN


def _reject_only_dots(name: str) -> str:
    """Raise ValueError for a name of only dots: as the last part of a URL path it would mean another path."""
    if not name.strip("."):
        raise ValueError("a name must not consist of dots only")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")]
NewName = Annotated[Name, AfterValidator(_reject_only_dots)]
PlayerId = Annotated[str, Field(pattern=rf"^[A-Za-z0-9_.@-]{{1,{MAX_PLAYER_ID_LENGTH}}}$")]
NewPlayerId = Annotated[PlayerId, AfterValidator(_reject_only_dots)]
StoredCurrency = Annotated[str, Field(pattern=r"^[A-Z0-9]{3,10}$")]
# An operator may type usd. The wire and the ledger have upper case only.
Currency = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{3,10}$"), AfterValidator(str.upper)]
Token = Annotated[str, Field(pattern=rf"^{TOKEN_PATTERN.pattern}$")]
Cents = Annotated[int, Field(ge=0, le=MAX_CENTS)]
Reason = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,200}$")]
RequiredReason = Annotated[
    str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$", max_length=200)
]
Secret = Annotated[str, Field(pattern=r"^[!-~]{4,256}$", repr=False, json_schema_extra={"writeOnly": True})]
Reference = Annotated[str, Field(pattern=r"^[!-~](?:[ -~]{0,62}[!-~])?$")]


ENTRY_SOURCE_PATTERN = re.compile(r"^[a-z0-9-]{1,20}$")

EntrySource = Annotated[str, Field(pattern=ENTRY_SOURCE_PATTERN.pattern)]
"""The protocol of an entry. It may be that of a package that is not installed any more."""

MAX_URL_LENGTH = 500

DAY_S = 24 * 3600

MAX_TTL_S = 100 * 365 * DAY_S

TtlSeconds = Annotated[int, Field(gt=0, le=MAX_TTL_S)]


def list_entry_sources() -> tuple[str, ...]:
    """Return the values that an entry's `protocol` can have: the installed protocols, and the operator's own two.

    The ledger may also have entries of a protocol that was removed.
    """
    return (*list_protocols(), OPERATOR_PROTOCOL, OPENING_PROTOCOL)


def _validate_url(url: str) -> str:
    """Return the http or https address, or "". Raise ValueError for anything else."""
    parts = urlsplit(url)
    is_url = re.fullmatch(r"https?://[^\s/?#]+[^\s#]*", url) and parts.hostname and parts.port != 0
    if url and (not is_url or len(url) > MAX_URL_LENGTH):
        raise ValueError("an address must begin with http:// or https:// and a host")
    return url


def _reject_query(url: str) -> str:
    if "?" in url:
        raise ValueError("this address must not have a query")
    return url


HttpUrlOrEmpty = Annotated[
    str,
    AfterValidator(_validate_url),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "uri"}, {"const": ""}]}),
]

HttpUrlWithoutQuery = Annotated[HttpUrlOrEmpty, AfterValidator(_reject_query)]
