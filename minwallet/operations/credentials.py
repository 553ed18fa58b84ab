"""Secrets of the back office: keys of the admin API, links and cookies. Only their hashes are kept, but for passwords.

A key, a link and a cookie are 160 random bits, so a plain hash does for them; a password is a person's, so its hash is
slow and salted (RFC 7914).
"""

import base64
import hashlib
import hmac
import secrets

LOGIN_LINK_TTL_S, COOKIE_TTL_S = 3600, 12 * 3600

MIN_PASSWORD_LENGTH = 12

SCRYPT_N, SCRYPT_R, SCRYPT_P = 2**15, 8, 3
"""As OWASP recommends for scrypt: 32 MiB and some tenths of a second a try."""

DUMMY_PASSWORD_HASH = f"scrypt${base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(32)).decode()}"
"""What a try is held against where there is nobody of that name: it is as slow, and no password is it."""


def generate_api_key() -> str:
    """A key of the admin API. Its beginning tells a secret scanner what it is."""
    return f"mw_{secrets.token_hex(20)}"


def generate_secret() -> str:
    """What a link or a cookie carries."""
    return secrets.token_urlsafe(20)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def derive_csrf_token(cookie: str) -> str:
    """What a form of whoever has this cookie carries; another site can neither read nor guess it."""
    return hmac.digest(cookie.encode(), b"csrf", "sha256").hex()


def hash_password(password: str) -> str:
    """As `scrypt$SALT$HASH`; takes some tenths of a second."""
    salt = secrets.token_bytes(16)
    return "$".join(["scrypt", _encode_base64(salt), _encode_base64(_compute_scrypt(password, salt))])


def verify_password(password: str, hashed: str) -> bool:
    """Whether this is it; takes as long."""
    _, salt, expected = hashed.split("$")
    return hmac.compare_digest(_encode_base64(_compute_scrypt(password, base64.b64decode(salt))), expected)


def _compute_scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P, maxmem=2**26, dklen=32)


def _encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
