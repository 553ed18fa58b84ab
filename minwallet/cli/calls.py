"""`minwallet calls`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from minwallet.cli.dispatch import require_running_server
from minwallet.cli.options import JsonOption
from minwallet.cli.output import print_json, print_line
from minwallet.operations.line_text import to_column, to_printable
from minwallet.storage.errors import StoreError

if TYPE_CHECKING:
    from minwallet.storage.file_lock import ControlEndpoint
    from minwallet.web.gateway.recent_calls import ProviderCall

MAX_LIMIT = 2500

READ_TIMEOUT_S = 30
"""The longest time without a byte. A followed server sends a heartbeat every 2 s."""


def calls(
    context: typer.Context,
    failed: Annotated[bool, typer.Option("--failed", help="Show only calls that were refused or rejected.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new calls as they arrive.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MAX_LIMIT, help="Number of newest calls to show.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show the newest provider calls of the running server.

    The server keeps calls of all outcomes in memory until it stops: the last 2,000, and the last 500 with a wrong key,
    an unknown path, an address that is not allowed or too many unknown tokens. A failed call is shown with its reason,
    request and reply.

    The newest call is the last line. With --json it is the first of the list. With --json and --follow, each line is
    one JSON document. Press Ctrl-C to stop.

    Example: minwallet calls --failed --follow
    """
    server = require_running_server(context)
    documents = _read_calls(server, limit=limit, only_failed=failed, is_following=follow)
    if as_json and not follow:
        print_json({"calls": list(documents)[::-1]})
        return
    print_call = print_json if as_json else _print_call
    is_empty = True
    try:
        for document in documents:
            is_empty = False
            if not print_call(document):
                return
    except KeyboardInterrupt:
        return
    if is_empty and not follow:
        print_line("no failed calls" if failed else "no calls since the server's start")


def _read_calls(
    server: "ControlEndpoint", *, limit: int, only_failed: bool, is_following: bool
) -> "Iterator[ProviderCall]":
    """Yield the calls, oldest first. Raise StoreError if the server does not answer or ends."""
    import httpx2

    query = {"limit": limit, "failed": int(only_failed), "follow": int(is_following)}
    timeout = httpx2.Timeout(READ_TIMEOUT_S, connect=5)
    try:
        with httpx2.stream(
            "GET", f"{server.url}/calls", params=query, timeout=timeout, **server.request_options
        ) as response:
            if response.status_code != 200:
                raise StoreError(f"the server (process {server.pid}) runs another version of minwallet; restart it")
            for line in response.iter_lines():
                # An empty line is a heartbeat.
                if line:
                    yield json.loads(line)
            if is_following:
                raise StoreError(f"the server (process {server.pid}) stopped")
    except httpx2.RemoteProtocolError as error:
        # The connection was open, and its end without the end of the answer is the end of the process.
        raise StoreError(f"the server (process {server.pid}) stopped") from error
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise StoreError(f"the server (process {server.pid}) does not answer: {reason}") from error


def _print_call(call: "ProviderCall") -> bool:
    """Print one line for the call, and for a failed one its reason, request and reply. Return False if stdout is
    closed."""
    who = " ".join(filter(None, (to_column(call["player"]), call["id"] and f"id {to_column(call['id'])}")))
    head = f"{call['at'][11:19]}  {call['protocol']:9}  {call['operation']:12}  {call['outcome']:18}"
    lines = [f"{head}  {call['ms']:8.2f} ms  {call['address']:15}  {who}".rstrip()]
    if call["reason"]:
        lines += [f"          {name:8} {to_printable(call[name])}" for name in ("reason", "request", "reply")]
    return print_line("\n".join(lines))
