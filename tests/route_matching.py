"""The routes of a protocol without a gateway, for wallets of tests."""

import re
from collections.abc import Mapping

from minwallet.protocols.wire import WireProtocol, WireRoute


def match_route(protocol: WireProtocol, path: str) -> tuple[WireRoute, Mapping[str, str]]:
    """Return the protocol's route of a path and the path's parameters. Raise LookupError if it has none."""
    for route in protocol.routes:
        if found := re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path), path):
            return route, found.groupdict()
    raise LookupError(path)
