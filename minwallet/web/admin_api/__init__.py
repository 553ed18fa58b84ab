"""The admin API: what an operator's own website asks of the wallet, in JSON below `/admin/api/v1`.

A request carries a key. What it may ask is a table (`table`); each operation is checked, described in the OpenAPI
document and shown on the page about it from the same models.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Route, request_response

from minwallet.web.admin_api.docs import page, send_document
from minwallet.web.admin_api.endpoint import Endpoint, nowhere, only_read
from minwallet.web.admin_api.operation import Api, Operation
from minwallet.web.admin_api.problems import BASE
from minwallet.web.admin_api.table import OPERATIONS
from minwallet.web.pages import PageHeaders


def routes(api: Api, public_url: str) -> list[BaseRoute]:
    """Everything at and below `/admin/api/v1`; `public_url` is as `docs.page` has it."""
    reading = {f"{BASE}/openapi.json": send_document, f"{BASE}/docs": page(public_url)}
    return [
        *(Route(BASE + path, Endpoint(api, operations)) for path, operations in by_path().items()),
        *(
            Route(path, GZipMiddleware(PageHeaders(request_response(send))), methods=["GET"])
            for path, send in reading.items()
        ),
        *(Route(path, only_read) for path in reading),
        *(Route(path, nowhere) for path in (BASE, f"{BASE}/{{rest:path}}")),
    ]


def by_path() -> Mapping[str, Sequence[Operation]]:
    """The operations of each path."""
    found: dict[str, list[Operation]] = {}
    for operation in chain.from_iterable(OPERATIONS.values()):
        found.setdefault(operation.path, []).append(operation)
    return found
