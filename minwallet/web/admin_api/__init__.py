"""The admin API: the wallet's operations for an operator's own website, as JSON below `/admin/api/v1`.

A request carries an API key. `routes` is the table of operations. The same models validate a request, describe it in
the OpenAPI document (`openapi`) and on the documentation page (`docs_page`).
"""

from collections.abc import Mapping, Sequence
from itertools import chain

from starlette.routing import BaseRoute, Route, request_response
from starlette.types import ASGIApp

from minwallet.web.admin_api.docs_page import DOCS_PATH, create_documents
from minwallet.web.admin_api.endpoint import ApiEndpoint, method_not_allowed, not_found
from minwallet.web.admin_api.operation import ApiContext, Operation
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.admin_api.routes import OPERATIONS
from minwallet.web.host_check import HostCheck
from minwallet.web.templating import SecurityHeadersMiddleware


def create_api_routes(api: ApiContext, server_url: str, browser_hosts: frozenset[str]) -> list[BaseRoute]:
    """Return all routes at and below `/admin/api/v1`.

    `server_url` is in the examples of the documentation page. This page needs one of the `browser_hosts`, as every page
    for browsers does.
    """
    documents: dict[str, ASGIApp] = {
        path: SecurityHeadersMiddleware(request_response(document))
        for path, document in create_documents(server_url).items()
    }
    documents[DOCS_PATH] = HostCheck(documents[DOCS_PATH], browser_hosts)
    return [
        *(Route(API_PREFIX + path, ApiEndpoint(api, operations)) for path, operations in group_by_path().items()),
        *(Route(path, document, methods=["GET"]) for path, document in documents.items()),
        *(Route(path, method_not_allowed) for path in documents),
        *(Route(path, not_found) for path in (API_PREFIX, f"{API_PREFIX}/{{rest:path}}")),
    ]


def group_by_path() -> Mapping[str, Sequence[Operation]]:
    """Return the operations by path."""
    found: dict[str, list[Operation]] = {}
    for operation in chain.from_iterable(OPERATIONS.values()):
        found.setdefault(operation.path, []).append(operation)
    return found
