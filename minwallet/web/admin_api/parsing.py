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
from minwallet.web.admin_api.problems import FieldError, Problem, ProblemType

INTEGER_PATTERN = re.compile(r"-?(0|[1-9][0-9]{0,19})", re.ASCII)

MAX_FIELD_ERRORS, MAX_NAME_LENGTH = 20, 64
"""How much is repeated of what is wrong."""

FieldLocation = Literal["path", "query", "body"]


class RequestField(NamedTuple):
    """A field of what is asked: its place, its JSON schema, and whether it must be given."""

    location: FieldLocation
    schema: Mapping[str, Any]
    is_required: bool


class UntitledJsonSchema(GenerateJsonSchema):
    """JSON schemas without titles that only repeat the names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


@cache
def get_request_fields(operation: Operation) -> Mapping[str, RequestField]:
    """What a caller may give, by name and in order of the model."""
    schema = operation.params_type.model_json_schema(schema_generator=UntitledJsonSchema)
    default_location: FieldLocation = "body" if operation.has_body else "query"
    in_path = set(re.findall(r"{(\w+)}", operation.path))
    return {
        name: RequestField(
            "path" if name in in_path else default_location,
            _inline_references(each, schema),
            name in schema.get("required", ()),
        )
        for name, each in schema.get("properties", {}).items()
        if name not in {"operation", *operation.fixed}
    }


def parse_request(
    operation: Operation, path: Mapping[str, str], query: Sequence[tuple[str, str]], body: bytes | None
) -> BaseModel:
    """What is asked. A Problem names everything that is wrong with it."""
    fields = get_request_fields(operation)
    values: dict[str, Any] = dict(operation.fixed)
    errors: list[FieldError] = []

    def collect_fields(where: FieldLocation, pairs: Iterable[tuple[str, Any]]) -> None:
        for name, value in pairs:
            known = fields.get(name)
            if known is None or known.location != where:
                errors.append(FieldError(where=where, name=name[:MAX_NAME_LENGTH], detail="there is no such field"))
            elif name in values:
                errors.append(FieldError(where=where, name=name, detail="it is given twice"))
            else:
                values[name] = value if where == "body" else _coerce_number(value, known.schema)

    collect_fields("path", path.items())
    collect_fields("query", query)
    if body is not None:
        collect_fields("body", _parse_json_object(body).items())
    try:
        params = operation.params_type.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        errors += [_build_field_error(each, fields) for each in error.errors(include_url=False)]
    else:
        if not errors:
            return params
    names = ", ".join(dict.fromkeys(mistake["name"] for mistake in errors[:MAX_FIELD_ERRORS]))
    overflow = f", and {len(errors) - MAX_FIELD_ERRORS} more" if len(errors) > MAX_FIELD_ERRORS else ""
    raise Problem(ProblemType.INVALID, f"this will not do: {names}{overflow}", errors[:MAX_FIELD_ERRORS])


def _parse_json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=_reject_duplicate_names, parse_constant=_reject_constant)
        json.dumps(document, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, (_InvalidJson, json.JSONDecodeError)) else "not JSON"
        raise Problem(ProblemType.MALFORMED, f"the body cannot be read: {reason}") from error
    if not isinstance(document, dict):
        raise Problem(ProblemType.MALFORMED, "the body is not a JSON object")
    return document


class _InvalidJson(ValueError):
    """What Python reads, but is no JSON that everybody would read in the same way."""


def _reject_duplicate_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _InvalidJson("a name is given twice")
    return document


def _reject_constant(constant: str) -> NoReturn:
    raise _InvalidJson(f"{constant} is no number in JSON")


def _coerce_number(text: str, schema: Mapping[str, Any]) -> str | int:
    """A parameter as it would be in JSON."""
    is_number = "integer" in [each.get("type") for each in schema.get("anyOf", [schema])]
    return int(text) if is_number and INTEGER_PATTERN.fullmatch(text) else text


def _build_field_error(error: ErrorDetails, fields: Mapping[str, RequestField]) -> FieldError:
    name = str(error["loc"][0])
    expected = FIELD_HELP.get(name) if error["type"] == "string_pattern_mismatch" else None
    detail = f"it is {expected}" if expected else error_message(error)
    return FieldError(
        where=fields[name].location, name=name, detail="it is missing" if error["type"] == "missing" else detail
    )


def _inline_references(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of one field, with the definitions that it refers to put in their place, without their titles."""
    if reference := schema.get("$ref"):
        definition = root["$defs"][reference.rpartition("/")[2]]
        merged = {**_inline_references(definition, root), **schema}
        return {name: value for name, value in merged.items() if name not in {"$ref", "title"}}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inline_references(each, root) for each in schema["anyOf"]]}
    return schema
