"""Requests without their secrets, for logs and lists of calls.

The `redact` of a protocol needs a parsed call and a session, which say what the token is. Any other request may have it
in a field of another name, in a number, or as its whole body. So `mask_values` keeps only what cannot be a secret.
"""

import codecs
import re
from collections.abc import Collection
from urllib.parse import unquote

from minwallet.protocols.wire import REDACTED
from minwallet.web.gateway.signatures import ValidSignature

MASKED = "…"
"""The text in place of a value that may be a secret."""

CUT_OFF = "… (cut off)"
"""The end of a text whose rest is not kept."""

SIGNATURE = "SIGNATURE"
"""The word that replaces a signature. With the signature, a reader could try out passwords as the secret."""

CREDENTIAL = "SECRET"
"""The word that replaces a secret, which a provider may send in a field by mistake."""

_PART = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"?|(?P<word>[^\s{}\[\]:,"=&]+)')
_NAME_FOLLOWS = re.compile(r"\s*[:=]")
_NAME = re.compile(r"[A-Za-z_]{1,20}", re.ASCII)
_NUMBER = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?", re.ASCII)
_SECRET_NAME = re.compile(r"\Acode\Z|token|key|secret|session|sid|sign|hash|hmac|mac\Z|pass|auth|[%\\]", re.IGNORECASE)
"""Matches the names of secrets, and each name with an escape, which may be such a name too."""
_JSON_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_JSON_WORDS = ("true", "false", "null")


def mask_values(raw: bytes, operations: Collection[str]) -> str:
    """Return a JSON body, a form or a query with its names, numbers and operations; other values become MASKED.

    A number is masked too if the field's name is that of a secret.
    """
    text = raw.decode(errors="replace")
    is_json = text.lstrip().startswith(("{", "[", '"'))
    return (
        _mask_json(text, operations) if is_json else "&".join(_mask_field(each, operations) for each in text.split("&"))
    )


def _mask_field(field: str, operations: Collection[str]) -> str:
    name, separator, value = field.partition("=")
    if not separator:
        name, value = "", name
    is_shown = not value or (_is_harmless(value, operations) and not _SECRET_NAME.search(name))
    shown_name = name if not name or _NAME.fullmatch(name) else MASKED
    return f"{shown_name}{separator}{value if is_shown else MASKED}"


def _mask_json(text: str, operations: Collection[str]) -> str:
    has_secret_name = False

    def mask(part: re.Match[str]) -> str:
        nonlocal has_secret_name
        is_quoted = part["word"] is None
        value = part["text"] if is_quoted else part["word"]
        if _NAME_FOLLOWS.match(text, part.end()):
            # Once for each name: a list of a thousand numbers may follow a long one.
            has_secret_name = bool(_SECRET_NAME.search(value))
            # JSON quotes its names. A word before a colon may be a part of a value.
            shown = value if is_quoted and _NAME.fullmatch(value) else MASKED
        elif is_quoted:
            shown = value if value in operations or not value else MASKED
        else:
            shown = value if _is_harmless(value, operations) and not has_secret_name else MASKED
        return f'"{shown}"' if is_quoted else shown

    return _PART.sub(mask, text)


def _is_harmless(value: str, operations: Collection[str]) -> bool:
    return value in _JSON_WORDS or value in operations or bool(_NUMBER.fullmatch(value))


def cut_off(raw: bytes, max_bytes: int) -> str:
    """Return a text as it was sent, or its beginning of up to `max_bytes` bytes and CUT_OFF."""
    if len(raw) <= max_bytes:
        return raw.decode(errors="replace")
    # Without the last character if only a part of it is left. The whole text may be long, so it is not decoded.
    return codecs.utf_8_decode(raw[:max_bytes], "replace", False)[0] + CUT_OFF


def hide_signature(signature: ValidSignature, text: str) -> str:
    """Return the text with SIGNATURE and SECRET in place of the signature and its agent's secrets, in any spelling."""
    text = text.replace(signature.value, SIGNATURE)
    for secret in signature.secrets:
        text = text.replace(secret, CREDENTIAL)
    # Most texts have no escapes. To decode them and to compile a pattern takes long.
    if "%" not in text and "\\" not in text:
        return text
    decoded = unquote(text)
    if "\\" in decoded:
        # JSON may be in a field of a form. Its backslashes may be before any character.
        decoded = _JSON_ESCAPE.sub(lambda found: chr(int(found[1], 16)), f"{text} {decoded}").replace("\\", "")
    for hidden in (signature.value, *signature.secrets):
        if hidden.replace("\\", "") in decoded:
            word = SIGNATURE if hidden is signature.value else CREDENTIAL
            text = re.sub("".join(map(_match_spellings, hidden)), word, text, flags=re.IGNORECASE)
    return text


def _match_spellings(letter: str) -> str:
    """Return a pattern for the spellings of an ASCII character in a text, a query, a form and JSON."""
    backslash, code = r"(?:\\|%5c)", f"{ord(letter):02x}"
    return rf"(?:{backslash}?(?:{re.escape(letter)}|%{code})|{backslash}u00{code})"


def hide_token_in_path(token: str, path: str) -> str:
    """Return the path with REDACTED in place of a token that is a part of it."""
    return "/".join(REDACTED if part == token else part for part in path.split("/"))
