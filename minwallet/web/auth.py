"""Cookie, origin check, redirect check and attempt limiter of the back office.

Cookie
======

A sign-in sets one cookie with 160 random bits. The file stores only its hash, and signing out deletes that hash.

- `HttpOnly`: no script can read it.
- `SameSite=Strict`: the browser never sends it with a request that another site causes.
- `Secure` if the public URL is https, or the request came over TLS. A trusted proxy reports the latter with
  X-Forwarded-Proto; a proxy that does not must not weaken the cookie.
- `Path=/admin`: it is not sent to provider endpoints.

Cross-site requests
===================

A request that changes something passes three checks, and each would suffice in a correct browser:

1. `SameSite=Strict`, as above;
2. `is_same_origin`: the browser itself states where the request came from;
3. a token in each form, derived from the cookie (`operations.credentials.derive_csrf_token`, checked by `PageRouter`).

The sign-in forms have no cookie yet. They rely on the second check.

Attempts
========

`AttemptLimiter` allows five attempts without a delay. From then on the delay doubles: 5 s, 10 s, … up to a maximum. An
attempt counts before its password is checked. So parallel attempts cannot pass together. A success resets its key. A
key also starts again one hour after its delay has ended. The table is bounded: the keys with the oldest attempts go
first.

Sign-in counts per client address and per name. An address is grouped as in `unknown_token_limit.rate_limit_key`.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from minwallet.config import is_loopback
from minwallet.operations.credentials import COOKIE_TTL_S
from minwallet.web.gateway.client_address import get_client_host
from minwallet.web.gateway.unknown_token_limit import rate_limit_key

COOKIE_NAME = "minwallet_admin"

HOME_PATH, SIGN_IN_PATH, LOGIN_LINK_PATH = "/admin", "/admin/sign-in", "/admin/enter"

FREE_ATTEMPTS, FIRST_DELAY_S, MAX_DELAY_S, RESET_AFTER_S, MAX_TRACKED_KEYS = 5, 5, 300, 3600, 10_000


class _Attempts(NamedTuple):
    attempts: int
    allowed_at_s: float


class AttemptLimiter:
    """Limiter of attempts per key, with a delay that doubles up to `max_delay_s`.

    Check `retry_after_s`, call `record` before the attempt, and `reset` after a success.
    """

    def __init__(self, max_delay_s: int = MAX_DELAY_S, clock_s: Callable[[], float] = monotonic) -> None:
        self._max_delay_s = max_delay_s
        self._clock_s = clock_s
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def retry_after_s(self, key: str) -> int:
        """Return the whole seconds until the next attempt of this key is allowed; 0 means now."""
        return max(0, math.ceil(self._get_attempts(key).allowed_at_s - self._clock_s()))

    def record(self, key: str) -> None:
        """Count an attempt as failed, until `reset` says otherwise."""
        count = self._get_attempts(key).attempts + 1
        # The bound keeps the power small; the maximum delay is reached long before it.
        doublings = min(count - FREE_ATTEMPTS, 20)
        delay_s = min(FIRST_DELAY_S * 2**doublings, self._max_delay_s) if doublings >= 0 else 0
        self._attempts[key] = _Attempts(count, self._clock_s() + delay_s)
        self._attempts.move_to_end(key)
        if len(self._attempts) > MAX_TRACKED_KEYS:
            self._attempts.popitem(last=False)

    def reset(self, key: str) -> None:
        """Forget the attempts of this key after a success."""
        self._attempts.pop(key, None)

    def _get_attempts(self, key: str) -> _Attempts:
        found = self._attempts.get(key)
        is_current = found is not None and self._clock_s() < found.allowed_at_s + RESET_AFTER_S
        return found if found and is_current else _Attempts(0, 0)


def set_cookie(response: Response, request: Request, cookie: str, public_url: str) -> None:
    """Set the cookie that signs this browser in."""
    response.set_cookie(
        COOKIE_NAME,
        cookie,
        max_age=COOKIE_TTL_S,
        path=HOME_PATH,
        secure=_is_secure(request, public_url),
        httponly=True,
        samesite="strict",
    )


def clear_cookie(response: Response, request: Request, public_url: str) -> None:
    """Delete the cookie in this browser. `AdminAuth.sign_out` makes a kept cookie useless."""
    is_secure = _is_secure(request, public_url)
    response.delete_cookie(COOKIE_NAME, path=HOME_PATH, secure=is_secure, httponly=True, samesite="strict")


def _is_secure(request: Request, public_url: str) -> bool:
    return request.url.scheme == "https" or public_url.startswith("https:")


def would_drop_cookie(request: Request, public_url: str) -> bool:
    """Return whether the browser would not store the cookie, because its page came over plain HTTP.

    Browsers state this in Origin. They trust loopback without TLS.
    """
    page = urlsplit(request.headers.get("origin", ""))
    return public_url.startswith("https:") and page.scheme == "http" and not is_loopback(page.hostname or "")


def is_same_origin(request: Request, public_url: str) -> bool:
    """Return whether the browser states that a page of this server sent the request.

    Sec-Fetch-Site is decisive if present. Older browsers send Origin, which must be this server's address as requested
    or its public URL. Return False if the request has neither.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    own_origin = f"{request.url.scheme}://{request.url.netloc}"
    return request.headers.get("origin") in {own_origin, _get_origin(public_url or own_origin)}


def sanitize_redirect(text: str) -> str:
    """Return `text` if it is a safe path of the back office, otherwise the path of the overview.

    A safe path begins with `/admin`, has printable ASCII only, no backslash and no `..`, and is not a sign-in page.
    Browsers read a backslash as a slash, so a path with one could lead to another host.
    """
    path = text.partition("?")[0]
    has_admin_path = re.fullmatch(r"/admin(?:/[!-\[\]-~]*)?", path) and re.fullmatch(r"[!-\[\]-~]*", text)
    is_allowed_target = ".." not in unquote(path) and not path.startswith((SIGN_IN_PATH, LOGIN_LINK_PATH))
    return text if has_admin_path and is_allowed_target else HOME_PATH


def get_attempt_key(request: Request) -> str:
    """Return the limiter's key of the client: its address, or its /64 network for IPv6."""
    return rate_limit_key(get_client_host(request.scope))


def _get_origin(url: str) -> str:
    # Browsers send the name of the host in lower case.
    return "/".join(url.split("/")[:3]).lower()
