"""The documentation page of the admin API, rendered from its OpenAPI document without external resources."""

import asyncio
import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from markupsafe import Markup
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from minwallet.operations.errors import ErrorCode
from minwallet.web.admin_api.openapi import JsonObject, build_openapi_document
from minwallet.web.admin_api.problems import API_PREFIX
from minwallet.web.templating import Asset, build_asset, build_asset_response, render_string

DOCS_PATH = f"{API_PREFIX}/docs"

EXAMPLE_FIELDS = {"currency", "game_url"}
"""Optional fields that an example request contains."""


class FieldRow(NamedTuple):
    """A parameter or field. `types` lists its types, each with the name of its schema or ""."""

    name: str
    location: str
    types: list[tuple[str, str]]
    is_required: bool
    description: Markup


class OperationDoc(NamedTuple):
    """An operation as the page shows it. `curl_options` and `curl_path` belong to its example curl command."""

    name: str
    method: str
    path: str
    scope: str
    summary: str
    paragraphs: list[Markup]
    request_fields: list[FieldRow]
    status: str
    response_types: list[tuple[str, str]]
    problem_statuses: list[str]
    curl_options: str
    curl_path: str


class Document:
    """A document that needs no key, as the handler of its address.

    Building and compressing it takes long, and anybody can request it. So it is built once, on a thread, and does not
    depend on the request.
    """

    def __init__(self, build: Callable[[], bytes], media_type: str) -> None:
        self._build = build
        self._media_type = media_type
        self._lock = asyncio.Lock()
        self._asset: Asset | None = None

    async def __call__(self, request: Request) -> Response:
        """Send the document."""
        async with self._lock:
            if self._asset is None:
                self._asset = await asyncio.to_thread(lambda: build_asset(self._build(), self._media_type))
        return build_asset_response(self._asset, request)


def create_documents(server_url: str) -> Mapping[str, Document]:
    """Return the documents by path: the OpenAPI document, and the page that shows it with the URL of this server."""
    return {
        f"{API_PREFIX}/openapi.json": Document(lambda: to_json(build_openapi_document()), "application/json"),
        DOCS_PATH: Document(lambda: _render_docs_page(server_url).encode(), "text/html"),
    }


def _render_docs_page(server_url: str) -> str:
    return render_string(
        "api.html",
        title="Admin API",
        base=API_PREFIX,
        server=server_url,
        about=_render_code_spans(build_openapi_document()["info"]["description"]),
        operations=_build_operation_docs(),
        problem_codes=list(ErrorCode),
        render_code=_render_code_spans,
        schemas=_build_schema_docs(),
    )


def _build_operation_docs() -> Mapping[str, list[OperationDoc]]:
    """Return the operations by heading."""
    found: dict[str, list[OperationDoc]] = {}
    for path, methods in build_openapi_document()["paths"].items():
        for method, node in methods.items():
            found.setdefault(node["tags"][0], []).append(_build_operation_doc(path, method.upper(), node))
    return found


def _build_operation_doc(path: str, method: str, node: JsonObject) -> OperationDoc:
    body = node["requestBody"]["content"]["application/json"]["schema"] if "requestBody" in node else {}
    (status, reply), *problems = node["responses"].items()
    ((media_type, content),) = reply["content"].items()
    return OperationDoc(
        node["operationId"],
        method,
        path,
        node["security"][0]["key"][0],
        node["summary"],
        [_render_code_spans(paragraph) for paragraph in node["description"].split("\n\n") if paragraph],
        [*map(_build_parameter_row, node["parameters"]), *_build_field_rows(body, "body")],
        status,
        [("event stream", "")] if media_type == "text/event-stream" else _list_types(content["schema"]),
        [number for number, _ in problems],
        *_build_curl_command(path, method, node["parameters"], body),
    )


def _build_parameter_row(node: JsonObject) -> FieldRow:
    description = _describe_schema({**node["schema"], **node})
    return FieldRow(node["name"], node["in"], _list_types(node["schema"]), node["required"], description)


def _build_field_rows(schema: JsonObject, place: str = "") -> list[FieldRow]:
    required = schema.get("required", ())
    return [
        FieldRow(name, place, _list_types(each), name in required, _describe_schema(each))
        for name, each in schema.get("properties", {}).items()
    ]


def _build_schema_docs() -> Mapping[str, tuple[Markup, list[FieldRow], list[str]]]:
    """Return each schema of the responses by name: its description, its fields, and the values of an enum."""
    return {
        name: (_render_code_spans(schema.get("description", "")), _build_field_rows(schema), schema.get("enum", []))
        for name, schema in sorted(build_openapi_document()["components"]["schemas"].items())
    }


def _list_types(schema: JsonObject) -> list[tuple[str, str]]:
    """Return the types of a value, each with the name of its schema or ""."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return [(name, name)]
    if "anyOf" in schema:
        return [kind for each in schema["anyOf"] for kind in _list_types(each)]
    if schema.get("type") == "array":
        return [(f"list of {text}", name) for text, name in _list_types(schema["items"])]
    if "const" in schema:
        return [(json.dumps(schema["const"]), "")]
    if "enum" in schema:
        return [(", ".join(schema["enum"]), "")]
    return [(str(schema.get("format", schema["type"])), "")]


def _describe_schema(schema: JsonObject) -> Markup:
    """Return the description, the range and the default of a value."""
    parts: list[str] = [schema["description"]] if "description" in schema else []
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if high is not None and high < 2**31:
        parts.append(f"{low} to {high}")
    if schema.get("default") not in (None, ""):
        parts.append(f"`{json.dumps(schema['default'])}` if not given")
    return _render_code_spans("; ".join(parts))


def _build_curl_command(path: str, method: str, parameters: Iterable[JsonObject], body: JsonObject) -> tuple[str, str]:
    """Return the options and the path of an example curl command."""
    samples = {each["name"]: _get_example(each["schema"]) for each in parameters if each["in"] == "path"}
    curl_path = re.sub(r"{(\w+)}", lambda name: str(samples[name[1]]), path)
    options = [] if method in {"GET", "POST"} else [f"-X {method}"]
    if body:
        fields = body["properties"]
        example_fields = [name for name in fields if name in body["required"] or name in EXAMPLE_FIELDS]
        data = json.dumps({name: _get_example(fields[name]) for name in example_fields})
        options.append(f"-d '{data}'")
    return " ".join(options), curl_path


def _get_example(schema: JsonObject) -> Any:  # noqa: ANN401 whatever JSON has
    return schema["examples"][0]


def _render_code_spans(text: str) -> Markup:
    """Return the text with the parts between backticks as `<code>`."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))
