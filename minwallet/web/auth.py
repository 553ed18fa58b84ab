"""Who may see the back office: its cookie, where a form came from, where to go on, and how often somebody may try."""

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from minwallet.operations.credentials import COOKIE_TTL_S
from minwallet.web.gateway.unknown_token_limit import get_client_host, rate_limit_key

COOKIE_NAME = "minwallet_admin"

HOME_PATH, SIGN_IN_PATH, LOGIN_LINK_PATH = "/admin", "/admin/sign-in", "/admin/enter"

FREE_ATTEMPTS, FIRST_DELAY_S, MAX_DELAY_S, RESET_AFTER_S, MAX_TRACKED_KEYS = 5, 5, 300, 3600, 10_000


class _Attempts(NamedTuple):
    attempts: int
    allowed_at_s: float


class AttemptLimiter:
    """Lets everybody, told apart by a key, try some times, and then ever more seldom. A try counts as failed until it
    is forgiven, so that many at once are no way around. What is remembered is bounded.
    """

    def __init__(self, max_delay_s: int = MAX_DELAY_S, clock_s: Callable[[], float] = monotonic) -> None:
        self._max_delay_s = max_delay_s
        self._clock_s = clock_s
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()

    def retry_after_s(self, key: str) -> int:
        """After how many whole seconds the next try may be; 0 is now."""
        return max(0, math.ceil(self._get_attempts(key).allowed_at_s - self._clock_s()))

    def record(self, key: str) -> None:
        """A try is made."""
        count = self._get_attempts(key).attempts + 1
        doublings = min(count - FREE_ATTEMPTS, 20)
        delay_s = min(FIRST_DELAY_S * 2**doublings, self._max_delay_s) if doublings >= 0 else 0
        self._attempts[key] = _Attempts(count, self._clock_s() + delay_s)
        self._attempts.move_to_end(key)
        if len(self._attempts) > MAX_TRACKED_KEYS:
            self._attempts.popitem(last=False)

    def reset(self, key: str) -> None:
        """The try was good."""
        self._attempts.pop(key, None)

    def _get_attempts(self, key: str) -> _Attempts:
        found = self._attempts.get(key)
        is_current = found is not None and self._clock_s() < found.allowed_at_s + RESET_AFTER_S
        return found if found and is_current else _Attempts(0, 0)


def set_cookie(response: Response, request: Request, cookie: str) -> None:
    """Sign this browser in."""
    response.set_cookie(
        COOKIE_NAME,
        cookie,
        max_age=COOKIE_TTL_S,
        path=HOME_PATH,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def clear_cookie(response: Response, request: Request) -> None:
    """Sign this browser out; whoever kept the cookie is another matter."""
    is_secure = request.url.scheme == "https"
    response.delete_cookie(COOKIE_NAME, path=HOME_PATH, secure=is_secure, httponly=True, samesite="strict")


def is_same_origin(request: Request, public_url: str) -> bool:
    """Whether a page of this server has sent the request, as the browser says. A request that says nothing has not."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    own_origin = f"{request.url.scheme}://{request.url.netloc}"
    return request.headers.get("origin") in {own_origin, _get_origin(public_url or own_origin)}


def sanitize_redirect(text: str) -> str:
    """`text` if it is a path of the back office to go on to, else the overview."""
    path = text.partition("?")[0]
    has_admin_path = re.fullmatch(r"/admin(?:/[!-\[\]-~]*)?", path) and re.fullmatch(r"[!-\[\]-~]*", text)
    is_allowed_target = ".." not in unquote(path) and not path.startswith((SIGN_IN_PATH, LOGIN_LINK_PATH))
    return text if has_admin_path and is_allowed_target else HOME_PATH


def get_attempt_key(request: Request) -> str:
    """Whom to count a try for."""
    return rate_limit_key(get_client_host(request.scope))


def _get_origin(url: str) -> str:
    return "/".join(url.split("/")[:3])
