"""The page of the newest provider calls, with request, reply and the reason of each failure."""

from typing import NamedTuple

from starlette.responses import Response
from starlette.routing import Route

from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.transaction_detail import WireMessage, format_message
from minwallet.web.gateway.recent_calls import SUCCESSFUL_OUTCOMES, ProviderCall, render_calls

PATH = "/admin/calls"

PAGE_SIZE = 100


class ListedCall(NamedTuple):
    """A call with its request and its reply in a readable layout."""

    call: ProviderCall
    is_failed: bool
    request: WireMessage
    reply: WireMessage


def routes(router: PageRouter) -> list[Route]:
    return [router.get(PATH, _render_calls)]


async def _render_calls(context: PageContext) -> Response:
    only_failed = context.request.query_params.get("failed") == "1"
    recent_calls = context.router.recent_calls.read(PAGE_SIZE, only_failed=only_failed)
    calls = [
        ListedCall(
            call,
            call["outcome"] not in SUCCESSFUL_OUTCOMES,
            format_message(call["request"]),
            format_message(call["reply"]),
        )
        for call in await render_calls(recent_calls)
    ]
    return context.render("backoffice/calls.html", calls=calls, only_failed=only_failed, page_size=PAGE_SIZE)
