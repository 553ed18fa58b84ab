"""The page about the admin API, made of its OpenAPI document: nothing is fetched from elsewhere to read it."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from markupsafe import Markup
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from minwallet.web.admin_api.document import Node, make_document
from minwallet.web.admin_api.problems import BASE, Cause
from minwallet.web.pages import fill

TOLD = {"currency", "game_url"}
"""What an example of a request has, though it need not be given."""


class Row(NamedTuple):
    """A parameter, or a field: `kinds` is what it may be, each with the name of the shape if it is one of those."""

    name: str
    place: str
    kinds: list[tuple[str, str]]
    is_required: bool
    words: Markup


class Paragraphs(NamedTuple):
    """An operation as the page shows it; `options` and `address` are of a curl command that asks for it."""

    name: str
    method: str
    path: str
    scope: str
    summary: str
    words: list[Markup]
    asked: list[Row]
    status: str
    replies: list[tuple[str, str]]
    problems: list[str]
    options: str
    address: str


async def send_document(request: Request) -> Response:
    """The OpenAPI document."""
    del request
    return Response(_document(), media_type="application/json")


def page(public_url: str) -> Callable[[Request], Awaitable[Response]]:
    """The same for people; `public_url` is where the world reaches this server, "" if that is as whoever asks."""

    async def send_page(request: Request) -> Response:
        return HTMLResponse(_page(public_url or str(request.base_url).rstrip("/")))

    return send_page


# Whoever asks has no key, and nobody's call shall wait while the same is made again and again.
@cache
def _document() -> bytes:
    return to_json(make_document())


@lru_cache(maxsize=8)
def _page(server: str) -> str:
    return fill(
        "api.html",
        title="Admin API",
        base=BASE,
        server=server,
        about=_marked(make_document()["info"]["description"]),
        operations=_operations(),
        causes=list(Cause),
        marked=_marked,
        shapes=_shapes(),
    )


@cache
def _operations() -> Mapping[str, list[Paragraphs]]:
    """By heading."""
    found: dict[str, list[Paragraphs]] = {}
    for path, methods in make_document()["paths"].items():
        for method, node in methods.items():
            found.setdefault(node["tags"][0], []).append(_operation(path, method.upper(), node))
    return found


def _operation(path: str, method: str, node: Node) -> Paragraphs:
    body = node["requestBody"]["content"]["application/json"]["schema"] if "requestBody" in node else {}
    (status, reply), *problems = node["responses"].items()
    ((media_type, content),) = reply["content"].items()
    return Paragraphs(
        node["operationId"],
        method,
        path,
        node["security"][0]["key"][0],
        node["summary"],
        [_marked(paragraph) for paragraph in node["description"].split("\n\n") if paragraph],
        [*map(_parameter, node["parameters"]), *_fields(body, "body")],
        status,
        [("event stream", "")] if media_type == "text/event-stream" else _kinds(content["schema"]),
        [number for number, _ in problems],
        *_curl(path, method, node["parameters"], body),
    )


def _parameter(node: Node) -> Row:
    words = _words({**node["schema"], **node})
    return Row(node["name"], node["in"], _kinds(node["schema"]), node["required"], words)


def _fields(schema: Node, place: str = "") -> list[Row]:
    required = schema.get("required", ())
    return [
        Row(name, place, _kinds(each), name in required, _words(each))
        for name, each in schema.get("properties", {}).items()
    ]


@cache
def _shapes() -> Mapping[str, tuple[Markup, list[Row], list[str]]]:
    """Each shape of the replies by its name: words, fields, or the values that there are."""
    return {
        name: (_marked(schema.get("description", "")), _fields(schema), schema.get("enum", []))
        for name, schema in sorted(make_document()["components"]["schemas"].items())
    }


def _kinds(schema: Node) -> list[tuple[str, str]]:
    """What a value may be, in words, and the shape that the words name."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return [(name, name)]
    if "anyOf" in schema:
        return [kind for each in schema["anyOf"] for kind in _kinds(each)]
    if schema.get("type") == "array":
        return [(f"list of {text}", name) for text, name in _kinds(schema["items"])]
    if "const" in schema:
        return [(json.dumps(schema["const"]), "")]
    if "enum" in schema:
        return [(", ".join(schema["enum"]), "")]
    return [(str(schema.get("format", schema["type"])), "")]


def _words(schema: Node) -> Markup:
    """What there is to say beside the kind."""
    told: list[str] = [schema["description"]] if "description" in schema else []
    low, high = schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")
    if high is not None and high < 2**31:
        told.append(f"{low} to {high}")
    if schema.get("default") not in (None, ""):
        told.append(f"`{json.dumps(schema['default'])}` if not given")
    return _marked("; ".join(told))


def _curl(path: str, method: str, parameters: Iterable[Node], body: Node) -> tuple[str, str]:
    """The options, and the address below the server's."""
    samples = {each["name"]: _sample(each["schema"]) for each in parameters if each["in"] == "path"}
    address = re.sub(r"{(\w+)}", lambda name: str(samples[name[1]]), path)
    options = [] if method in {"GET", "POST"} else [f"-X {method}"]
    if body:
        fields = body["properties"]
        wanted = [name for name in fields if name in body["required"] or name in TOLD]
        data = json.dumps({name: _sample(fields[name]) for name in wanted})
        options.append(f"-d '{data}'")
    return " ".join(options), address


def _sample(schema: Node) -> Any:  # noqa: ANN401 whatever JSON has
    return schema["examples"][0]


def _marked(text: str) -> Markup:
    """Text in which what stands between backticks is code."""
    parts = text.split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if n % 2 else part for n, part in enumerate(parts))
