"""The admin API: what an operator's own website asks of the wallet, in JSON below `/admin/api/v1`.

A request carries a key. What it may ask is a table (`table`); each operation is checked, described in the OpenAPI
document and shown on the page about it from the same models.
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import BaseRoute, Route, request_response

from minwallet.web.admin_api.docs_page import create_docs_handler, send_openapi_document
from minwallet.web.admin_api.endpoint import ApiEndpoint, method_not_allowed, not_found
from minwallet.web.admin_api.operation import ApiContext, Operation
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.admin_api.routes import OPERATIONS
from minwallet.web.templating import SecurityHeadersMiddleware


def create_api_routes(api: ApiContext, public_url: str) -> list[BaseRoute]:
    """Everything at and below `/admin/api/v1`; `public_url` is as `docs.create_docs_handler` has it."""
    documents = {
        f"{API_PREFIX}/openapi.json": send_openapi_document,
        f"{API_PREFIX}/docs": create_docs_handler(public_url),
    }
    return [
        *(Route(API_PREFIX + path, ApiEndpoint(api, operations)) for path, operations in group_by_path().items()),
        *(
            Route(path, GZipMiddleware(SecurityHeadersMiddleware(request_response(send))), methods=["GET"])
            for path, send in documents.items()
        ),
        *(Route(path, method_not_allowed) for path in documents),
        *(Route(path, not_found) for path in (API_PREFIX, f"{API_PREFIX}/{{rest:path}}")),
    ]


def group_by_path() -> Mapping[str, Sequence[Operation]]:
    """The operations of each path."""
    found: dict[str, list[Operation]] = {}
    for operation in chain.from_iterable(OPERATIONS.values()):
        found.setdefault(operation.path, []).append(operation)
    return found
