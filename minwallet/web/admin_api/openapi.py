"""The OpenAPI document of the admin API, built from the table of operations and their models."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from minwallet import __version__
from minwallet.operations.errors import ErrorCode
from minwallet.operations.field_help import find_help, find_meaning
from minwallet.protocols.registry import has_part, list_protocols
from minwallet.web.admin_api.operation import Operation
from minwallet.web.admin_api.parsing import RequestField, UntitledJsonSchema, get_request_fields
from minwallet.web.admin_api.problems import API_PREFIX, PROBLEM_MEDIA_TYPE, ProblemDetails
from minwallet.web.admin_api.routes import OPERATIONS

JsonObject = dict[str, Any]

PROBLEM_KEY = "a problem"

API_DESCRIPTION = """
Amounts are integers in cents, times are ISO 8601 in UTC. A request carries a key, `Authorization: Bearer KEY`, which
the operator creates in the back office or with `minwallet key add`. The scope `read` allows GET, `write` allows
everything. A key of one agent covers that agent only. The audit log lists a key's changes under its name. A failed
request gets a problem (RFC 9457) whose `type` is the error code. An unknown field or parameter is an error.
""".strip()

COMMON_PROBLEMS = (
    ErrorCode.UNAUTHORIZED,
    ErrorCode.FORBIDDEN,
    ErrorCode.INVALID,
    ErrorCode.BUG,
    ErrorCode.UNAVAILABLE,
)

WRITE_PROBLEMS = (
    *(ErrorCode.MALFORMED, ErrorCode.TOO_LONG),
    *(ErrorCode.TAKEN, ErrorCode.INSUFFICIENT_FUNDS, ErrorCode.OUT_OF_RANGE, ErrorCode.NOT_POSSIBLE),
    *(ErrorCode.EXCLUDED, ErrorCode.LIMIT_REACHED),
)

FIELD_EXAMPLES: Mapping[str, object] = {
    "agent": "default",
    "name": "default",
    "player_id": "alice",
    "currency": "USD",
    "amount": 1250,
    "reference": "order-1042",
    "reason": "card payment",
    "status": "blocked",
    "key_prefix": "mwc_",
    "fingerprint": "0f",
    "secret": "a-secret-of-the-provider",
    "session": 1,
    "seq": 1,
    "game": "1012",
    "game_url": "https://games.example.com/play",
    "add_agent.name": "north",
    "add_player.player_id": "bob",
    "add_account.currency": "EUR",
    "withdraw.reference": "payout-77",
    "adjust.amount": -500,
    "adjust.reference": "ticket-1004",
    "adjust.reason": "won on ticket 1004, paid twice",
    "set_limit.kind": "deposit",
    "set_limit.per": "week",
    "set_limit.amount": 50_000,
    "exclude_player.until": "2099-01-31T00:00:00Z",
}
"""By field, or by operation and field where an operation has another example."""


@cache
def build_openapi_document() -> JsonObject:
    """Return the document in the format of OpenAPI 3.1."""
    response_types: dict[str, Any] = {
        each.name: each.response_type for each in _list_operations() if each.response_type is not None
    }
    response_types[PROBLEM_KEY] = ProblemDetails
    adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (name, "serialization", TypeAdapter(shape)) for name, shape in response_types.items()
    ]
    schemas, definitions = TypeAdapter.json_schemas(
        adapters, ref_template="#/components/schemas/{model}", schema_generator=UntitledJsonSchema
    )
    paths: JsonObject = {}
    for tag, operations in OPERATIONS.items():
        for each in operations:
            reply = schemas.get((each.name, "serialization"))
            paths.setdefault(each.path, {})[each.method.lower()] = _describe_operation(tag, each, reply)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "minwallet admin API",
            "version": __version__,
            "description": API_DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": API_PREFIX}],
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "responses": _build_problem_responses(schemas[PROBLEM_KEY, "serialization"]),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key of the admin API."}},
        },
    }


def _list_operations() -> list[Operation]:
    return [each for operations in OPERATIONS.values() for each in operations]


def _describe_operation(tag: str, operation: Operation, reply: JsonObject | None) -> JsonObject:
    fields = get_request_fields(operation)
    scope_note = "Only for keys that cover all agents." if operation.all_agents_only else ""
    node: JsonObject = {
        "operationId": operation.name,
        "tags": [tag],
        "summary": operation.summary,
        "description": "\n\n".join(filter(None, [operation.description, scope_note])),
        "security": [{"key": [str(operation.scope)]}],
        "parameters": [
            _describe_parameter(operation, name, each) for name, each in fields.items() if each.location != "body"
        ],
        "responses": {
            str(operation.status): {
                "description": HTTPStatus(operation.status).phrase,
                "content": _describe_content(reply),
            },
            **{
                str(status): {"$ref": f"#/components/responses/Problem{status}"}
                for status in sorted({code.status for code in _list_problem_codes(operation, fields)})
            },
        },
    }
    if reply is None:
        last_seen = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
        node["parameters"].append({**last_seen, "description": "the `seq` after which to continue"})
    if operation.has_body:
        node["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _describe_body(operation, fields)}},
        }
    return node


def _describe_content(reply: JsonObject | None) -> JsonObject:
    return {"application/json": {"schema": reply}} if reply else {"text/event-stream": {"schema": {"type": "string"}}}


def _list_problem_codes(operation: Operation, fields: Mapping[str, RequestField]) -> list[ErrorCode]:
    """Return the error codes of the operation."""
    is_named = any(field.location == "path" for field in fields.values())
    return [
        *COMMON_PROBLEMS,
        *(WRITE_PROBLEMS if operation.has_body else ()),
        *((ErrorCode.NOT_FOUND,) if is_named else ()),
        *operation.extra_problems,
    ]


def _describe_parameter(operation: Operation, name: str, field: RequestField) -> JsonObject:
    schema = _add_description(operation, name, field.schema)
    if "anyOf" in schema:
        # A parameter of a URL cannot be null, only absent.
        (one,) = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        schema = {**one, **{key: value for key, value in schema.items() if key != "default"}}
    parameter = {"name": name, "in": field.location, "required": field.is_required, "schema": schema}
    if description := schema.pop("description", None):
        parameter["description"] = description
    return parameter


def _describe_body(operation: Operation, fields: Mapping[str, RequestField]) -> JsonObject:
    body_fields = {name: field for name, field in fields.items() if field.location == "body"}
    return {
        "type": "object",
        "properties": {name: _add_description(operation, name, field.schema) for name, field in body_fields.items()},
        "required": [name for name, field in body_fields.items() if field.is_required],
        "additionalProperties": False,
    }


def _add_description(operation: Operation, name: str, schema: Mapping[str, Any]) -> JsonObject:
    """Return the schema with its description and an example."""
    described = dict(schema)
    model = operation.params_type.__name__
    expected = find_help(model, name) if "pattern" in str(schema) else None
    if description := "; ".join(filter(None, [find_meaning(model, name), expected])):
        described["description"] = description
    example = FIELD_EXAMPLES.get(f"{operation.name}.{name}", FIELD_EXAMPLES.get(name))
    if name == "protocol":
        # A game of a protocol with a game list cannot be launched before the list is fetched.
        example = min(list_protocols(), key=lambda protocol: has_part(protocol, "operator_service"))
    if example is not None:
        described["examples"] = [example]
    return described


def _build_problem_responses(problem: JsonObject) -> JsonObject:
    """Return one response per HTTP status, with the descriptions of its error codes."""
    responses: JsonObject = {}
    for code in ErrorCode:
        name = f"Problem{code.status}"
        response = responses.setdefault(name, {"description": "", "content": {PROBLEM_MEDIA_TYPE: {"schema": problem}}})
        response["description"] = " ".join(filter(None, [response["description"], f"`{code}`: {code.description}"]))
    responses["Problem401"]["headers"] = {
        "WWW-Authenticate": {
            "required": True,
            "schema": {"type": "string"},
            "description": "`Bearer`, as RFC 6750 defines it.",
        }
    }
    return responses
