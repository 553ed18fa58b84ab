"""The admin API: the wallet's operations for an operator's own website, as JSON below `/admin/api/v1`.

A request carries an API key. `routes` is the table of operations. The same models validate a request, describe it in
the OpenAPI document (`openapi`) and on the documentation page (`docs_page`).
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
    """Return all routes at and below `/admin/api/v1`. `public_url` is as in `create_docs_handler`."""
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
    """Return the operations by path."""
    found: dict[str, list[Operation]] = {}
    for operation in chain.from_iterable(OPERATIONS.values()):
        found.setdefault(operation.path, []).append(operation)
    return found
