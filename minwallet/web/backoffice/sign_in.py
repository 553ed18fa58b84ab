"""The doors: a link that is good once, name and password, and the way out."""

from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from minwallet.operations.admin_auth import TooManyAttempts
from minwallet.web import templating
from minwallet.web.auth import (
    HOME_PATH,
    SIGN_IN_PATH,
    AttemptLimiter,
    clear_cookie,
    get_attempt_key,
    sanitize_redirect,
    set_cookie,
)
from minwallet.web.backoffice.frame import Frame, Visit, read_form

LONGEST_WAIT_OF_A_NAME_S = 60
"""Whoever guesses at a name keeps its owner waiting, too, and shall not do so for long."""

LONGEST_NAME = 40
"""What is beyond that is no admin's name, and is not remembered."""

BUSY_S = 5

NO_TOKEN_IN_REFERER = {"referrer-policy": "strict-origin"}

MOST_KNOWN = 1_000
"""How many addresses are remembered from which somebody signed in with a password."""


def routes(frame: Frame) -> list[Route]:
    door = _Door(frame)
    return [
        Route("/admin/enter", door.show_link, methods=["GET"]),
        Route("/admin/enter", door.use_link, methods=["POST"]),
        Route(SIGN_IN_PATH, door.show_form, methods=["GET"]),
        Route(SIGN_IN_PATH, door.take_password, methods=["POST"]),
        frame.post("/admin/sign-out", _sign_out),
    ]


class _Door:
    """What people do who are not signed in yet. They have no cookie, so their forms must come from our own pages."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._admins = frame.admins
        self._by_address = AttemptLimiter()
        self._by_name = AttemptLimiter(LONGEST_WAIT_OF_A_NAME_S)
        self._by_link = AttemptLimiter()
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def show_link(self, request: Request) -> Response:
        """Only a button: whatever looks at the link before the person does, does not use it up."""
        token = request.query_params.get("token", "")
        return templating.render_response("office/enter.html", headers=NO_TOKEN_IN_REFERER, token=token, error="")

    async def use_link(self, request: Request) -> Response:
        self._frame.refuse_foreign(request)
        address = get_attempt_key(request)
        if wait_s := self._by_link.retry_after_s(address):
            return _tell_to_wait(wait_s)
        self._by_link.record(address)
        entered = await self._admins.sign_in_with_link((await read_form(request)).get("token", ""), address)
        if entered is None:
            error = "This link has been used, or is too old."
            return templating.render_response("office/enter.html", 403, NO_TOKEN_IN_REFERER, token="", error=error)
        self._by_link.reset(address)
        return _let_in(request, entered.cookie, HOME_PATH)

    async def show_form(self, request: Request) -> Response:
        following = sanitize_redirect(request.query_params.get("next", HOME_PATH))
        return templating.render_response("office/sign_in.html", name="", following=following, error="")

    async def take_password(self, request: Request) -> Response:
        self._frame.refuse_foreign(request)
        form = await read_form(request)
        name, following = form.get("name", "").strip(), sanitize_redirect(form.get("next", ""))
        address, key = get_attempt_key(request), name[:LONGEST_NAME]
        # Whoever keeps guessing at a name from elsewhere shall not keep out the admin who signs in from here.
        is_known = (key, address) in self._known
        if wait_s := max(self._by_address.retry_after_s(address), 0 if is_known else self._by_name.retry_after_s(key)):
            return _tell_to_wait(wait_s)
        self._by_address.record(address)
        if not is_known:
            self._by_name.record(key)
        try:
            entered = await self._admins.sign_in_with_password(name, form.get("password", ""), address)
        except TooManyAttempts:
            return _tell_to_wait(BUSY_S)
        if entered is None:
            error = "Name or password is wrong."
            return templating.render_response("office/sign_in.html", 403, name=name, following=following, error=error)
        self._by_address.reset(address)
        self._by_name.reset(key)
        self._known[key, address] = None
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return _let_in(request, entered.cookie, following)


async def _sign_out(visit: Visit) -> Response:
    await visit.frame.admins.sign_out(visit.admin, visit.cookie)
    response = RedirectResponse(f"{SIGN_IN_PATH}?out=1", 303)
    clear_cookie(response, visit.request)
    return response


def _let_in(request: Request, cookie: str, path: str) -> Response:
    response = RedirectResponse(path, 303)
    set_cookie(response, request, cookie)
    return response


def _tell_to_wait(wait_s: int) -> Response:
    at = datetime.now(UTC) + timedelta(seconds=wait_s)
    return templating.render_response(
        "office/wait.html", 429, {"retry-after": str(wait_s)}, wait_s=wait_s, at=f"{at:%H:%M:%S}"
    )
