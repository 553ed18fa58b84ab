"""The process that fetches and parses a provider's responses, apart from the wallet that bets wait for.

A provider chooses what it sends. A response that takes long to parse would stop the event loop of the server, and a
thread would share the interpreter with it. So one process per download fetches, parses and checks, and the wallet
reads checked values only. `ServiceClient` starts it and ends it.

Both sides write JSON lines. The first line on stdin is a `ServiceTarget`, and the process answers with an empty object
when it is ready. Then each line on stdin is a request: the key of a report page, or null for the game list. The process
answers with lines of up to PIECE_SIZE `items`, or of `skipped` lines of text about entries that cannot be read, and a
last line with one of these:

- `key`: the response is complete; the key is that of the next report page, "" for a game list.
- `refused`: the provider's refusal, as `[code, message]`.
- `timed_out`: true.
- `unreachable` or `invalid`: the reason.
"""

import asyncio
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import httpx2

from minwallet.bounded_http import HttpReply, describe_error, exchange, open_client
from minwallet.protocols.operator_service import FetchedGames, OperatorServiceProtocol, ReportUnit, ServiceError
from minwallet.protocols.registry import create_object

MAX_RESPONSE_BYTES = 2 * 1024 * 1024

PIECE_SIZE = 500
"""How many games or rows one line has. The wallet parses such a line in about 1 ms."""

MAX_PARSE_S = 5.0
"""After the deadline of the exchange and this time, the kernel ends the process."""

NICENESS = 10

Line = dict[str, Any]


class ServiceTarget(NamedTuple):
    """The provider's service: its class and address, our id there, the unit of its report, the deadline.

    The class is an import path. So this process does not search the packages of protocols again.
    """

    service: str
    url: str
    host_id: str
    unit: str
    timeout_s: float


def main() -> None:
    """Answer requests until stdin ends."""
    # Ctrl-C reaches both processes, and the wallet's one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_requests, args=(requests,), daemon=True).start()
    target = ServiceTarget(*json.loads(requests.get()))
    service: OperatorServiceProtocol = create_object(target.service)
    _write_line({})
    http = open_client()
    with asyncio.Runner() as runner:
        while True:
            key = json.loads(requests.get())
            signal.setitimer(signal.ITIMER_REAL, target.timeout_s + MAX_PARSE_S)
            lines = runner.run(_answer(http, service, target, key))
            signal.setitimer(signal.ITIMER_REAL, 0)
            for line in lines:
                _write_line(line)


def _read_requests(requests: "queue.SimpleQueue[str]") -> None:
    """Put each line of stdin into the queue. End the process if the wallet's process is gone, also in an exchange."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


def _write_line(line: Line) -> None:
    sys.stdout.write(f"{json.dumps(line, separators=(',', ':'))}\n")
    sys.stdout.flush()


async def _answer(
    http: httpx2.AsyncClient, service: OperatorServiceProtocol, target: ServiceTarget, key: str | None
) -> list[Line]:
    unit = None if key is None else ReportUnit(target.unit)
    request = (
        service.build_games_request(target.host_id)
        if key is None
        else service.build_report_request(target.host_id, key)
    )
    try:
        reply = await exchange(
            http,
            request.method,
            target.url + request.target,
            timeout_s=target.timeout_s,
            max_bytes=MAX_RESPONSE_BYTES,
        )
    except httpx2.TimeoutException:
        return [{"timed_out": True}]
    except (httpx2.RemoteProtocolError, httpx2.DecodingError) as error:
        return [{"invalid": str(error)}]
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
        return [{"unreachable": describe_error(error)}]
    return list(_parse(service, unit, reply))


def _parse(service: OperatorServiceProtocol, unit: ReportUnit | None, reply: HttpReply) -> Iterator[Line]:
    """Yield the lines that answer the request: a report with amounts in `unit`, or the game list without a unit."""
    try:
        found = service.parse_games(reply.body) if unit is None else service.parse_report(reply.body, unit)
    except ValueError as error:
        yield {"invalid": str(error) if reply.status == 200 else f"HTTP status {reply.status}"}
        return
    if isinstance(found, ServiceError):
        yield {"refused": [found.code, found.message]}
        return
    if reply.status != 200:
        yield {"invalid": f"HTTP status {reply.status}"}
        return
    items, key = (found.games, "") if isinstance(found, FetchedGames) else (found.rows, found.key)
    yield from _split("items", items)
    yield from _split("skipped", found.skipped)
    yield {"key": key}


def _split(name: str, items: Sequence[object]) -> Iterator[Line]:
    for start in range(0, len(items), PIECE_SIZE):
        yield {name: items[start : start + PIECE_SIZE]}


if __name__ == "__main__":
    main()
