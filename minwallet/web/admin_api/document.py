"""The OpenAPI document of the admin API, made of the table of operations and the models that check and answer them."""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from minwallet import __version__
from minwallet.operations.requests import FIELD_HELP
from minwallet.web.admin_api.asking import Field, Schemas, fields_of
from minwallet.web.admin_api.operation import Operation
from minwallet.web.admin_api.problems import BASE, MEDIA_TYPE, Cause, ProblemShown
from minwallet.web.admin_api.table import OPERATIONS

Node = dict[str, Any]

PROBLEM = "a problem"

ABOUT = """
Amounts are integers of cents, times are ISO 8601 in UTC. A request carries a key, `Authorization: Bearer KEY`, which
`minwallet key add` makes: with the scope `read` it may GET, with `write` everything; a key of one agent reaches that
agent only. What a key changes is on record under its name. Whatever fails is answered with a problem (RFC 9457), whose
`type` says what it was. A field or parameter that is not known here is refused.
""".strip()

ALWAYS = (Cause.UNAUTHORIZED, Cause.FORBIDDEN, Cause.INVALID, Cause.BUG, Cause.UNAVAILABLE)

OF_CHANGES = (
    *(Cause.MALFORMED, Cause.TOO_LONG),
    *(Cause.TAKEN, Cause.INSUFFICIENT_FUNDS, Cause.OUT_OF_RANGE, Cause.NOT_POSSIBLE),
    *(Cause.EXCLUDED, Cause.LIMIT_REACHED),
)

EXAMPLES: Mapping[str, object] = {
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

WORDS: Mapping[str, str] = {
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
def make_document() -> Node:
    """As OpenAPI 3.1 has it."""
    shapes: dict[str, Any] = {each.name: each.reply for each in _operations() if each.reply is not None}
    shapes[PROBLEM] = ProblemShown
    adapters: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = [
        (name, "serialization", TypeAdapter(shape)) for name, shape in shapes.items()
    ]
    replies, defined = TypeAdapter.json_schemas(
        adapters, ref_template="#/components/schemas/{model}", schema_generator=Schemas
    )
    paths: Node = {}
    for tag, operations in OPERATIONS.items():
        for each in operations:
            reply = replies.get((each.name, "serialization"))
            paths.setdefault(each.path, {})[each.method.lower()] = _operation(tag, each, reply)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "minwallet admin API",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": BASE}],
        "tags": [{"name": tag} for tag in OPERATIONS],
        "paths": paths,
        "components": {
            "schemas": defined["$defs"],
            "responses": _responses(replies[PROBLEM, "serialization"]),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "A key of the admin API."}},
        },
    }


def _operations() -> list[Operation]:
    return [each for operations in OPERATIONS.values() for each in operations]


def _operation(tag: str, operation: Operation, reply: Node | None) -> Node:
    fields = fields_of(operation)
    for_all = "Only for keys that reach all agents." if operation.for_all else ""
    described: Node = {
        "operationId": operation.name,
        "tags": [tag],
        "summary": operation.summary,
        "description": "\n\n".join(filter(None, [operation.description, for_all])),
        "security": [{"key": [str(operation.scope)]}],
        "parameters": [_parameter(operation, name, each) for name, each in fields.items() if each.where != "body"],
        "responses": {
            str(operation.status): {"description": HTTPStatus(operation.status).phrase, "content": _content(reply)},
            **{
                str(status): {"$ref": f"#/components/responses/Problem{status}"}
                for status in sorted({cause.status for cause in _causes(operation, fields)})
            },
        },
    }
    if reply is None:
        last_seen = {"name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"}}
        described["parameters"].append({**last_seen, "description": "the `seq` to go on after"})
    if operation.has_body:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body(operation, fields)}},
        }
    return described


def _content(reply: Node | None) -> Node:
    return {"application/json": {"schema": reply}} if reply else {"text/event-stream": {"schema": {"type": "string"}}}


def _causes(operation: Operation, fields: Mapping[str, Field]) -> list[Cause]:
    """What can go wrong."""
    is_named = any(field.where == "path" for field in fields.values())
    return [
        *ALWAYS,
        *(OF_CHANGES if operation.has_body else ()),
        *((Cause.NOT_FOUND,) if is_named else ()),
        *operation.may,
    ]


def _parameter(operation: Operation, name: str, field: Field) -> Node:
    schema = _described(operation, name, field.schema)
    if "anyOf" in schema:
        # None is what is not given, and that cannot be written in an address.
        (one,) = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
        schema = {**one, **{key: value for key, value in schema.items() if key != "default"}}
    parameter = {"name": name, "in": field.where, "required": field.is_required, "schema": schema}
    if words := schema.pop("description", None):
        parameter["description"] = words
    return parameter


def _body(operation: Operation, fields: Mapping[str, Field]) -> Node:
    given = {name: field for name, field in fields.items() if field.where == "body"}
    return {
        "type": "object",
        "properties": {name: _described(operation, name, field.schema) for name, field in given.items()},
        "required": [name for name, field in given.items() if field.is_required],
        "additionalProperties": False,
    }


def _described(operation: Operation, name: str, schema: Mapping[str, Any]) -> Node:
    """With words, and an example."""
    described = dict(schema)
    shape = FIELD_HELP.get(name) if "pattern" in str(schema) else None
    if words := "; ".join(filter(None, [schema.get("description", WORDS.get(name)), shape])):
        described["description"] = words
    example = EXAMPLES.get(f"{operation.name}.{name}", EXAMPLES.get(name))
    if example is not None:
        described["examples"] = [example]
    return described


def _responses(problem: Node) -> Node:
    """The problems, by status."""
    responses: Node = {}
    for cause in Cause:
        name = f"Problem{cause.status}"
        known = responses.setdefault(name, {"description": "", "content": {MEDIA_TYPE: {"schema": problem}}})
        known["description"] = " ".join(filter(None, [known["description"], f"`{cause.word}`: {cause.meaning}"]))
    responses["Problem401"]["headers"] = {
        "WWW-Authenticate": {
            "required": True,
            "schema": {"type": "string"},
            "description": "`Bearer`, as RFC 6750 has it.",
        }
    }
    return responses
