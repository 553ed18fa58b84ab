"""Parsing of an HTTP request into an operation's parameters, strictly: each field from its one place, and no others."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails

from minwallet.operations.errors import ErrorCode
from minwallet.operations.field_help import error_message, find_help
from minwallet.web.admin_api.operation import Operation
from minwallet.web.admin_api.problems import FieldError, Problem

INTEGER_PATTERN = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)

MAX_FIELD_ERRORS, MAX_NAME_LENGTH = 20, 64
"""The maximum of errors in a response, and of characters of a field name in it."""

FieldLocation = Literal["path", "query", "body"]


class RequestField(NamedTuple):
    """A field of the parameters: its location, its JSON schema, and whether it is required."""

    location: FieldLocation
    schema: Mapping[str, Any]
    is_required: bool


class UntitledJsonSchema(GenerateJsonSchema):
    """A generator of JSON schemas without the titles, which would only repeat the names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        del schema
        return False


@cache
def get_request_fields(operation: Operation) -> Mapping[str, RequestField]:
    """Return the fields that a caller may give, by name and in order of the model."""
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
    """Return the parameters. Raise Problem with a list of all invalid fields."""
    fields = get_request_fields(operation)
    values: dict[str, Any] = dict(operation.fixed)
    errors: list[FieldError] = []

    def collect_fields(where: FieldLocation, pairs: Iterable[tuple[str, Any]]) -> None:
        for name, value in pairs:
            known = fields.get(name)
            if known is None or known.location != where:
                errors.append(FieldError(where=where, name=name[:MAX_NAME_LENGTH], detail="unknown field"))
            elif name in values:
                errors.append(FieldError(where=where, name=name, detail="given twice"))
            else:
                values[name] = value if where == "body" else _coerce_text(value, known.schema)

    collect_fields("path", path.items())
    collect_fields("query", query)
    if body is not None:
        collect_fields("body", _parse_json_object(body).items())
    try:
        params = operation.params_type.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        errors += [_build_field_error(each, error.title, fields) for each in error.errors(include_url=False)]
    else:
        if not errors:
            return params
    names = ", ".join(dict.fromkeys(mistake["name"] for mistake in errors[:MAX_FIELD_ERRORS]))
    overflow = f", and {len(errors) - MAX_FIELD_ERRORS} more" if len(errors) > MAX_FIELD_ERRORS else ""
    raise Problem(ErrorCode.INVALID, f"invalid: {names}{overflow}", errors[:MAX_FIELD_ERRORS])


def _parse_json_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            body,
            object_pairs_hook=_reject_duplicate_names,
            parse_constant=_reject_constant,
            parse_int=_parse_integer,
        )
        json.dumps(document, ensure_ascii=False).encode()  # a lone surrogate is not valid text
    except json.JSONDecodeError as error:
        place = f"not JSON at line {error.lineno}, column {error.colno}"
        raise Problem(ErrorCode.MALFORMED, f"the body cannot be read: {place}") from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _InvalidJson) else "not JSON"
        raise Problem(ErrorCode.MALFORMED, f"the body cannot be read: {reason}") from error
    if not isinstance(document, dict):
        raise Problem(ErrorCode.MALFORMED, "the body is not a JSON object")
    return document


class _InvalidJson(ValueError):
    """JSON that Python accepts, but that other parsers read differently or reject."""


def _reject_duplicate_names(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise _InvalidJson("a name occurs twice")
    return document


def _reject_constant(constant: str) -> NoReturn:
    raise _InvalidJson(f"{constant} is not a JSON number")


def _parse_integer(text: str) -> int | float:
    """Return a number of JSON. -0 is a float, as an int has no negative zero; no field accepts a float."""
    return -0.0 if text == "-0" else int(text)


def _coerce_text(text: str, schema: Mapping[str, Any]) -> str | int | bool:
    """Return a parameter of the URL as JSON would have it: an int or a bool if the schema wants one, else the text."""
    types = [each.get("type") for each in schema.get("anyOf", [schema])]
    if "boolean" in types and text in ("true", "false"):
        return text == "true"
    return int(text) if "integer" in types and INTEGER_PATTERN.fullmatch(text) else text


def _build_field_error(error: ErrorDetails, model: str, fields: Mapping[str, RequestField]) -> FieldError:
    name = str(error["loc"][0])
    expected = find_help(model, name) if error["type"] == "string_pattern_mismatch" else None
    detail = f"expected {expected}" if expected else error_message(error)
    return FieldError(
        where=fields[name].location, name=name, detail="required" if error["type"] == "missing" else detail
    )


def _inline_references(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a field with its references replaced by the definitions, without their titles."""
    if reference := schema.get("$ref"):
        definition = root["$defs"][reference.rpartition("/")[2]]
        merged = {**_inline_references(definition, root), **schema}
        return {name: value for name, value in merged.items() if name not in {"$ref", "title"}}
    if "anyOf" in schema:
        return {**schema, "anyOf": [_inline_references(each, root) for each in schema["anyOf"]]}
    return schema
