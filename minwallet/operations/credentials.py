"""Secrets: API keys, sign-in links, cookies and passwords. Only hashes of them are stored.

A key, a link and a cookie are 160 random bits, so a fast hash (SHA-256) is safe: they cannot be guessed. A password is
chosen by a person, so its hash is slow and salted (scrypt, RFC 7914).
"""

import base64
import hashlib
import hmac
import secrets

LOGIN_LINK_TTL_S, COOKIE_TTL_S = 3600, 12 * 3600

MIN_PASSWORD_LENGTH = 12

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 3
"""The parameters that OWASP recommends for scrypt: 32 MiB of memory and some tenths of a second per attempt."""

DUMMY_PASSWORD_HASH = f"scrypt${base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(32)).decode()}"
"""Verified when the admin is unknown, so that the answer takes as long. No password has this hash."""


def generate_api_key() -> str:
    """Return a new API key. Secret scanners recognise its prefix."""
    return f"mw_{secrets.token_hex(20)}"


def generate_secret() -> str:
    """Return a new secret for a link or a cookie."""
    return secrets.token_urlsafe(20)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def derive_csrf_token(cookie: str) -> str:
    """Return the CSRF token for the forms of this session. Another site can neither read nor guess it."""
    return hmac.digest(cookie.encode(), b"csrf", "sha256").hex()


def hash_password(password: str) -> str:
    """Return `scrypt$SALT$HASH`. This takes some tenths of a second."""
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", _encode_base64(salt), _encode_base64(_compute_scrypt(password, salt))])


def verify_password(password: str, hashed: str) -> bool:
    """Return True if the password has this hash. This takes as long as `hash_password`."""
    _, salt, expected = hashed.split("$")
    return hmac.compare_digest(_encode_base64(_compute_scrypt(password, base64.b64decode(salt))), expected)


def _compute_scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=2**26, dklen=32)


def _encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
