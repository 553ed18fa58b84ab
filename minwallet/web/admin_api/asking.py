"""From an HTTP request to what an operation is asked: each field from its one place, strictly, and nothing else."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from minwallet.operations.requests import FIELD_HELP, error_message
from minwallet.web.admin_api.operation import Operation
from minwallet.web.admin_api.problems import Cause, Mistake, Problem

INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)

MOST_MISTAKES, LONGEST_NAME = 20, 64
"""How much is repeated of what is wrong."""

Where = Literal["path", "query", "body"]


class Field(NamedTuple):
    """A field of what is asked: its place, its JSON schema, and whether it must be given."""

    where: Where
    schema: Mapping[str, Any]
    is_required: bool


class Schemas(GenerateJsonSchema):
    """JSON schemas without titles that only repeat the names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


@cache
def fields_of(operation: Operation) -> Mapping[str, Field]:
    """What a caller may give, by name and in order of the model."""
    schema = operation.asked.model_json_schema(schema_generator=Schemas)
    elsewhere: Where = "body" if operation.has_body else "query"
    in_path = set(re.findall(r"{(\w+)}", operation.path))
    return {
        name: Field("path" if name in in_path else elsewhere, _inline(each, schema), name in schema.get("required", ()))
        for name, each in schema.get("properties", {}).items()
        if name not in {"do", *operation.fixed}
    }


def read(
    operation: Operation, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes | None
) -> BaseModel:
    """What is asked. A Problem names everything that is wrong with it."""
    fields = fields_of(operation)
    given: dict[str, Any] = dict(operation.fixed)
    mistakes: list[Mistake] = []

    def take(where: Where, pairs: Iterable[tuple[str, Any]]) -> None:
        for name, value in pairs:
            known = fields.get(name)
            if known is None or known.where != where:
                mistakes.append(Mistake(where=where, name=name[:LONGEST_NAME], detail="there is no such field"))
            elif name in given:
                mistakes.append(Mistake(where=where, name=name, detail="it is given twice"))
            else:
                given[name] = value if where == "body" else _number(value, known.schema)

    take("path", path.items())
    take("query", query)
    if body is not None:
        take("body", _read_object(body).items())
    try:
        asked = operation.asked.model_validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        mistakes += [_mistake(each, fields) for each in error.errors(include_url=False)]
    else:
        if not mistakes:
            return asked
    names = ", ".join(dict.fromkeys(mistake["name"] for mistake in mistakes[:MOST_MISTAKES]))
    more = f", and {len(mistakes) - MOST_MISTAKES} more" if len(mistakes) > MOST_MISTAKES else ""
    raise Problem(Cause.INVALID, f"this will not do: {names}{more}", mistakes[:MOST_MISTAKES])


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=_once, parse_constant=_refuse)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, (_NoJson, json.JSONDecodeError)) else "not JSON"
        raise Problem(Cause.MALFORMED, f"the body cannot be read: {reason}") from error
    if not isinstance(document, dict):
        raise Problem(Cause.MALFORMED, "the body is not a JSON object")
    return document


class _NoJson(ValueError):
    """What Python reads, but is no JSON that everybody would read in the same way."""


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _NoJson("a name is given twice")
    return document


def _refuse(constant: str) -> NoReturn:
    raise _NoJson(f"{constant} is no number in JSON")


def _number(text: str, schema: Mapping[str, Any]) -> str | int:
    """A parameter as it would be in JSON."""
    is_number = "integer" in [each.get("type") for each in schema.get("anyOf", [schema])]
    return int(text) if is_number and INTEGER.fullmatch(text) else text


def _mistake(error: ErrorDetails, fields: Mapping[str, Field]) -> Mistake:
    name = str(error["loc"][0])
    shape = FIELD_HELP.get(name) if error["type"] == "string_pattern_mismatch" else None
    said = f"it is {shape}" if shape else error_message(error)
    return Mistake(where=fields[name].where, name=name, detail="it is missing" if error["type"] == "missing" else said)


def _inline(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of one field, with the definitions that it refers to put in their place, without their titles."""
    if reference := schema.get("$ref"):
        found = root["$defs"][reference.rpartition("/")[2]]
        whole = {**_inline(found, root), **schema}
        return {name: value for name, value in whole.items() if name not in {"$ref", "title"}}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inline(each, root) for each in schema["anyOf"]]}
    return schema
