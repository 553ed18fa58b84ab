"""The OpenAPI document of the admin API, made of the table of operations and the models that check and answer them."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from minwallet import __version__
from minwallet.operations.requests import FIELD_HELP
from minwallet.web.admin_api.operation import Operation
from minwallet.web.admin_api.parsing import RequestField, UntitledJsonSchema, get_request_fields
from minwallet.web.admin_api.problems import API_PREFIX, PROBLEM_MEDIA_TYPE, ProblemDetails, ProblemType
from minwallet.web.admin_api.routes import OPERATIONS

JsonObject = dict[str, Any]

PROBLEM_KEY = "a problem"

API_DESCRIPTION = """
Amounts are integers of cents, times are ISO 8601 in UTC. A request carries a key, `Authorization: Bearer KEY`, which
`minwallet key add` makes: with the scope `read` it may GET, with `write` everything; a key of one agent reaches that
agent only. What a key changes is on record under its name. Whatever fails is answered with a problem (RFC 9457), whose
`type` says what it was. A field or parameter that is not known here is refused.
""".strip()

COMMON_PROBLEMS = (
    ProblemType.UNAUTHORIZED,
    ProblemType.FORBIDDEN,
    ProblemType.INVALID,
    ProblemType.BUG,
    ProblemType.UNAVAILABLE,
)

WRITE_PROBLEMS = (
    *(ProblemType.MALFORMED, ProblemType.TOO_LONG),
    *(ProblemType.TAKEN, ProblemType.INSUFFICIENT_FUNDS, ProblemType.OUT_OF_RANGE, ProblemType.NOT_POSSIBLE),
    *(ProblemType.EXCLUDED, ProblemType.LIMIT_REACHED),
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
    "session": 1,
    "seq": 1,
    "protocol": "wallet-v2",
    "game": "1012",
    "game_url": "https://games.example.com/play",
    "add_agent.name": "north",
    "add_player.player_id": "bob",
    "add_account.currency": "EUR",
    "withdraw.reference": "payout-77",
    "set_limit.kind": "deposit",
    "set_limit.per": "week",
    "set_limit.amount": 50_000,
    "exclude_player.until": "2099-01-31T00:00:00Z",
}
"""By field, or by operation and field where it is another."""

FIELD_DESCRIPTIONS: Mapping[str, str] = {
    "after": "where to go on: the `next` of the page before",
    "agent": "the agent's name",
    "amount": "in cents",
    "balance": "cash to begin with, in cents",
    "bonus": "bonus to begin with, in cents",
    "game": "wallet-v2's gameID, or vela's game code",
    "game_url": "where wallet-v2's games are launched",
    "host_id": "vela's id of the agent, from the provider",
    "id": "as the provider or the operator gave it",
    "name": "the agent's name",
    "reason": "is kept with the transaction",
    "reference": "your own id of it; the same one again changes nothing",
    "report_unit": "what an amount in the provider's report is",
    "seq": "the transaction's number",
    "service_url": "where the provider serves game list and report",
    "session": "the session's number",
    "text": "what the id has in it",
    "ttl_s": "for how many seconds the session is good; 24 hours if not given",
    "wallet_token": "wallet-v2's id of the agent",
}
"""What a field is about, where its name does not say it all."""


@cache
def build_openapi_document() -> JsonObject:
    """As OpenAPI 3.1 has it."""
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
    scope_note = "Only for keys that reach all agents." if operation.all_agents_only else ""
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
                for status in sorted({cause.status for cause in _list_problem_types(operation, fields)})
            },
        },
    }
    if reply is None:
        last_seen = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
        node["parameters"].append({**last_seen, "description": "the `seq` to go on after"})
    if operation.has_body:
        node["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _describe_body(operation, fields)}},
        }
    return node


def _describe_content(reply: JsonObject | None) -> JsonObject:
    return {"application/json": {"schema": reply}} if reply else {"text/event-stream": {"schema": {"type": "string"}}}


def _list_problem_types(operation: Operation, fields: Mapping[str, RequestField]) -> list[ProblemType]:
    """What can go wrong."""
    is_named = any(field.location == "path" for field in fields.values())
    return [
        *COMMON_PROBLEMS,
        *(WRITE_PROBLEMS if operation.has_body else ()),
        *((ProblemType.NOT_FOUND,) if is_named else ()),
        *operation.extra_problems,
    ]


def _describe_parameter(operation: Operation, name: str, field: RequestField) -> JsonObject:
    schema = _add_description(operation, name, field.schema)
    if "anyOf" in schema:
        # None is what is not given, and that cannot be written in an address.
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
    """With words, and an example."""
    described = dict(schema)
    expected = FIELD_HELP.get(name) if "pattern" in str(schema) else None
    if description := "; ".join(filter(None, [schema.get("description", FIELD_DESCRIPTIONS.get(name)), expected])):
        described["description"] = description
    example = FIELD_EXAMPLES.get(f"{operation.name}.{name}", FIELD_EXAMPLES.get(name))
    if example is not None:
        described["examples"] = [example]
    return described


def _build_problem_responses(problem: JsonObject) -> JsonObject:
    """The problems, by status."""
    responses: JsonObject = {}
    for cause in ProblemType:
        name = f"Problem{cause.status}"
        response = responses.setdefault(name, {"description": "", "content": {PROBLEM_MEDIA_TYPE: {"schema": problem}}})
        response["description"] = " ".join(
            filter(None, [response["description"], f"`{cause.code}`: {cause.description}"])
        )
    responses["Problem401"]["headers"] = {
        "WWW-Authenticate": {
            "required": True,
            "schema": {"type": "string"},
            "description": "`Bearer`, as RFC 6750 has it.",
        }
    }
    return responses
