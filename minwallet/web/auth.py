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
from minwallet.web.strangers import group_of, host_of

COOKIE = "minwallet_admin"

HOME, SIGN_IN, ENTER = "/admin", "/admin/sign-in", "/admin/enter"

FREE_TRIES, FIRST_WAIT_S, LONGEST_WAIT_S, FORGET_S, REMEMBERED = 5, 5, 300, 3600, 10_000


class _Tries(NamedTuple):
    made: int
    next_at_s: float


class Throttle:
    """Lets everybody, told apart by a key, try some times, and then ever more seldom. A try counts as failed until it
    is forgiven, so that many at once are no way around. What is remembered is bounded.
    """

    def __init__(self, longest_wait_s: int = LONGEST_WAIT_S, clock_s: Callable[[], float] = monotonic) -> None:
        self._longest_wait_s = longest_wait_s
        self._clock_s = clock_s
        self._tries: OrderedDict[str, _Tries] = OrderedDict()

    def wait_s(self, key: str) -> int:
        """After how many whole seconds the next try may be; 0 is now."""
        return max(0, math.ceil(self._find(key).next_at_s - self._clock_s()))

    def count(self, key: str) -> None:
        """A try is made."""
        count = self._find(key).made + 1
        doublings = min(count - FREE_TRIES, 20)
        delay_s = min(FIRST_WAIT_S * 2**doublings, self._longest_wait_s) if doublings >= 0 else 0
        self._tries[key] = _Tries(count, self._clock_s() + delay_s)
        self._tries.move_to_end(key)
        if len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)

    def forgive(self, key: str) -> None:
        """The try was good."""
        self._tries.pop(key, None)

    def _find(self, key: str) -> _Tries:
        found = self._tries.get(key)
        is_current = found is not None and self._clock_s() < found.next_at_s + FORGET_S
        return found if found and is_current else _Tries(0, 0)


def give_cookie(response: Response, request: Request, cookie: str) -> None:
    """Sign this browser in."""
    response.set_cookie(
        COOKIE,
        cookie,
        max_age=COOKIE_TTL_S,
        path=HOME,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def take_cookie(response: Response, request: Request) -> None:
    """Sign this browser out; whoever kept the cookie is another matter."""
    is_secure = request.url.scheme == "https"
    response.delete_cookie(COOKIE, path=HOME, secure=is_secure, httponly=True, samesite="strict")


def is_same_origin(request: Request, public_url: str) -> bool:
    """Whether a page of this server has sent the request, as the browser says. A request that says nothing has not."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    own = f"{request.url.scheme}://{request.url.netloc}"
    return request.headers.get("origin") in {own, _origin(public_url or own)}


def local_path(text: str) -> str:
    """`text` if it is a path of the back office to go on to, else the overview."""
    path = text.partition("?")[0]
    is_local = re.fullmatch(r"/admin(?:/[!-\[\]-~]*)?", path) and re.fullmatch(r"[!-\[\]-~]*", text)
    is_plain = ".." not in unquote(path) and not path.startswith((SIGN_IN, ENTER))
    return text if is_local and is_plain else HOME


def address_of(request: Request) -> str:
    """Whom to count a try for."""
    return group_of(host_of(request.scope))


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])
