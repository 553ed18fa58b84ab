"""Requests without their secrets, for logs and lists of calls.

The `redact` of a protocol needs a parsed call and a session, which say what the token is. Any other request may have it
in a field of another name, in a number, or as its whole body. So `mask_values` keeps only what cannot be a secret.
"""

import re
from collections.abc import Collection

MASKED = "…"
"""The text in place of a value that may be a secret."""

_PART = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"?|(?P<word>[^\s{}\[\]:,"=&]+)')
_NAME_FOLLOWS = re.compile(r"\s*[:=]")
_NAME = re.compile(r"[A-Za-z_]{1,20}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_SECRET_NAME = re.compile(r"\Acode\Z|token|key|secret|session|sid", re.IGNORECASE)
_JSON_WORDS = ("true", "false", "null")


def mask_values(raw: bytes, operations: Collection[str]) -> str:
    """Return a JSON body or a query with its field names, numbers and operations; other values become MASKED.

    A number is masked too if the field's name is that of a secret.
    """
    text, has_secret_name = raw.decode(errors="replace"), False

    def mask(part: re.Match[str]) -> str:
        nonlocal has_secret_name
        is_quoted = part["word"] is None
        value = part["text"] if is_quoted else part["word"]
        if _NAME_FOLLOWS.match(text, part.end()):
            # Once for each name: a list of a thousand numbers may follow a long one.
            has_secret_name = bool(_SECRET_NAME.search(value))
            shown = value if _NAME.fullmatch(value) else MASKED
        elif is_quoted:
            shown = value if value in operations or not value else MASKED
        else:
            is_harmless = value in _JSON_WORDS or value in operations or _NUMBER.fullmatch(value)
            shown = value if is_harmless and not has_secret_name else MASKED
        return f'"{shown}"' if is_quoted else shown

    return _PART.sub(mask, text)
