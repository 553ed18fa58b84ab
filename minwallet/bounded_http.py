"""An HTTP exchange with a server that others run. Its response may be endless, slow, encoded or a redirect.

One deadline covers the whole exchange: name, connection, TLS, request, head and body. httpx2's own limits apply to each
read only, so a server could send one byte at a time. Raw bytes are counted, and an encoded response is refused, because
31 kB of gzip can decode to 1 GB. Redirects are not followed. The head is limited to 100 KiB by httpx2.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import httpx2


class HttpReply(NamedTuple):
    """The status, the headers and the body of a response."""

    status: int
    headers: httpx2.Headers
    body: bytes


def open_client(max_connections: int | None = 100) -> httpx2.AsyncClient:
    """Return a client for `exchange`. It ignores the proxy settings of the environment."""
    limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=100)
    return httpx2.AsyncClient(timeout=None, trust_env=False, limits=limits, headers={"accept-encoding": "identity"})


async def exchange(
    http: httpx2.AsyncClient,
    method: str,
    url: str,
    *,
    timeout_s: float,
    max_bytes: int,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpReply:
    """Send a request and return its response of up to `max_bytes`, headers included.

    Raise httpx2.TimeoutException after `timeout_s`, and another httpx2.HTTPError or httpx2.InvalidURL if there is no
    usable response.
    """
    body = bytearray()
    try:
        async with (
            asyncio.timeout(timeout_s),
            http.stream(method, url, content=content, headers=headers) as response,
        ):
            encoding = response.headers.get("content-encoding", "identity")
            if encoding.lower() != "identity":
                raise httpx2.DecodingError(f"the response has the encoding {encoding[:20]!r}, expected none")
            size = sum(len(name) + len(value) for name, value in response.headers.raw)
            async for piece in response.aiter_raw():
                size += len(piece)
                body += piece
                if size > max_bytes:
                    raise httpx2.RemoteProtocolError(f"the response is longer than {max_bytes} bytes")
    except TimeoutError:
        raise httpx2.ReadTimeout(f"no complete response within {timeout_s:g} s") from None
    finally:
        # A client keeps the cookies of all responses, so a server could make it grow.
        http.cookies.clear()
    return HttpReply(response.status_code, response.headers, bytes(body))


def describe_error(error: Exception) -> str:
    """Return why a response is missing. The system's own reason says more than that of the library."""
    root: BaseException = error
    while root.__cause__ or root.__context__:
        root = root.__cause__ or root.__context__ or root
    if isinstance(root, socket.gaierror):
        return str(root.strerror)
    if isinstance(root, OSError) and not isinstance(root, ssl.SSLError) and root.errno:
        return os.strerror(root.errno)
    return str(error) or type(error).__name__
