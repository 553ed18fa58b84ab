"""The OpenAPI document of the admin API and its documentation page."""

import asyncio
import json
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from itertools import chain, count
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from starlette.requests import Request
from starlette.responses import Response

from minwallet.operations.errors import ErrorCode
from minwallet.operations.field_help import FIELD_MEANINGS
from minwallet.web.admin_api.docs_page import Document
from minwallet.web.admin_api.openapi import build_openapi_document
from minwallet.web.admin_api.problems import API_PREFIX, problem_uri
from minwallet.web.admin_api.routes import OPERATIONS
from tests.support import ROOT, Server, clean_environment, running_server
from tests.web.api_client import PLAYERS_PATH, ApiClient, create_key
from tests.web.browser import DESKTOP, PHONE, Visitor, assert_accessible, assert_fits, measure_first_paint_bytes

MAX_EXAMPLES = 8

MAX_PAGE_BYTES = 100_000


@pytest.fixture(scope="module")
def openapi_document(server: Server) -> Any:  # noqa: ANN401 the document
    """Fetch the document without a key."""
    answer = server.http.get(f"{API_PREFIX}/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


@pytest.fixture(scope="module")
def prepared_server(server: Server) -> Server:
    """Return a server with the data that the document's examples use."""
    server.cli("player", "add", "alice", "--currency", "USD", "--balance", "100")
    server.cli.open_session("alice")
    return server


def test_the_document_is_openapi(openapi_document: dict[str, Any]) -> None:
    """It is valid OpenAPI 3.1."""
    import schemathesis  # noqa: PLC0415 it takes seconds to load, which the other tests need not wait for

    schemathesis.openapi.from_dict(openapi_document).validate()
    assert openapi_document["openapi"].startswith("3.1.")


def test_the_document_lists_every_operation(server: Server, openapi_document: dict[str, Any]) -> None:
    """Each path has exactly its methods, with name, description and all problems."""
    names = []
    for path, methods in openapi_document["paths"].items():
        allowed = server.http.options(API_PREFIX + path.replace("{seq}", "1").replace("{", "").replace("}", ""))
        assert sorted(allowed.headers["allow"].lower().split(", ")) == sorted(methods)
        for operation in methods.values():
            names.append(operation["operationId"])
            assert operation["summary"]
            assert operation["security"]
            assert {"401", "403", "422", "500", "503"} < set(operation["responses"])
    assert len(names) == len(set(names))


def test_every_reference_resolves(openapi_document: dict[str, Any]) -> None:
    """Every schema is used."""
    references = set(re.findall(r'"\$ref": "#/components/([^"]+)"', json.dumps(openapi_document)))
    components = openapi_document["components"]
    defined = {f"{kind}/{name}" for kind in ("schemas", "responses") for name in components[kind]}
    assert references <= defined
    assert defined - references == {"responses/Problem405"}


def test_responses_match_their_schemas(prepared_server: Server, openapi_document: dict[str, Any]) -> None:
    """A response has exactly the fields of its schema."""
    caller = ApiClient(prepared_server, create_key(prepared_server, "looking", "read"))
    shapes = openapi_document["components"]["schemas"]
    for path, shape in (
        ("/agents", "AgentsResponse"),
        (f"{PLAYERS_PATH}/alice", "PlayerResponse"),
        ("/health", "HealthResponse"),
    ):
        assert set(caller.get(path)) == set(shapes[shape]["properties"]) == set(shapes[shape]["required"])
    (row, *_) = caller.get("/transactions")["transactions"]
    assert set(row) == set(shapes["OwnedTransactionResponse"]["properties"])


def test_the_page_is_read_without_a_key(visitor: Visitor, prepared_server: Server) -> None:
    """It fits desktop and phone, loads nothing from other sites, and is accessible."""
    page = visitor.open(PHONE)
    page.goto(f"{prepared_server.url}{API_PREFIX}/docs")
    assert_fits(page)
    assert_accessible(page)
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    assert_fits(page)


def test_the_page_is_small(chromium: Browser, prepared_server: Server) -> None:
    """It needs less than 100 KB."""
    page = chromium.new_page()
    assert measure_first_paint_bytes(page, f"{prepared_server.url}{API_PREFIX}/docs") < MAX_PAGE_BYTES
    page.close()


def test_the_page_has_an_anchor_for_everything(prepared_server: Server) -> None:
    """Operations, problems (the targets of `type`) and schemas have one, and every link resolves."""
    text = prepared_server.http.get(f"{API_PREFIX}/docs").text
    places = set(re.findall(r'id="([^"]+)"', text))
    operations = [
        each["operationId"] for methods in build_openapi_document()["paths"].values() for each in methods.values()
    ]
    assert places >= {
        *operations,
        *ErrorCode,
        *build_openapi_document()["components"]["schemas"],
    }
    assert {problem_uri(code) for code in ErrorCode} <= {f"{API_PREFIX}/docs#{place}" for place in places}
    assert set(re.findall(r'href="#([^"]+)"', text)) <= places


def test_the_examples_on_the_page_work(prepared_server: Server) -> None:
    """They run in order, unchanged but for the key."""
    text = unescape(prepared_server.http.get(f"{API_PREFIX}/docs").text)
    commands = re.findall(
        r'curl -H "Authorization: Bearer \$KEY"(?: -X (\w+))?(?: -d \'([^\']+)\')? (\S+)</code>', text
    )
    assert len(commands) == sum(map(len, build_openapi_document()["paths"].values()))
    key = create_key(prepared_server, "reader-of-the-page")
    for method, data, address in commands:
        if not address.endswith("/feed"):
            content = data.encode() or None
            headers = {"authorization": f"Bearer {key}"}
            answer = prepared_server.http.request(
                method or ("POST" if data else "GET"), address, headers=headers, content=content
            )
            # minwallet's own protocols sign nothing, so no agent can have a secret of them.
            needs_package = "/protocol-secrets" in address and method != "GET" and bool(method or data)
            assert answer.is_success or (needs_package and answer.status_code in (404, 409)), (address, answer.text)


def test_the_page_shows_the_public_url(tmp_path: Path) -> None:
    """Behind a proxy it differs from the address of the request."""
    with running_server(tmp_path / "wallet.db", MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        text = server.http.get(f"{API_PREFIX}/docs").text
        assert f"https://wallet.example.com{API_PREFIX}/agents" in text
        assert server.url not in text


@pytest.mark.long
def test_schemathesis_finds_no_violation(db: Path) -> None:
    """schemathesis sends what the document allows and what it does not, and finds every answer as the document has it.

    The feed is left out, as its answer never ends.
    """
    with running_server(db) as server:
        server.cli("player", "add", "alice", "--currency", "EUR", "--balance", "100")
        key = create_key(server, "schemathesis")
        command: list[str | Path] = [Path(sys.executable).with_name("schemathesis"), "run"]
        command += [f"{server.url}{API_PREFIX}/openapi.json", "--exclude-operation-id", "follow", "--checks", "all"]
        command += ["--max-examples", str(MAX_EXAMPLES), "--generation-deterministic", "--no-color"]
        command += ["--header", f"Authorization: Bearer {key}"]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            cwd=db.parent,
            env=clean_environment(SCHEMATHESIS_HOOKS="tests.web.schemathesis_hooks", PYTHONPATH=str(ROOT)),
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        server.cli.assert_ledger_valid()


def test_the_document_names_no_library() -> None:
    """It has no texts of the libraries behind the models."""
    words = json.dumps(build_openapi_document()).lower()
    assert "pydantic" not in words
    assert "usage documentation" not in words


def test_every_meaning_belongs_to_a_field() -> None:
    """A text for a field of one request names a request and a field of the admin API."""
    params_types = {each.params_type.__name__: each.params_type for each in chain.from_iterable(OPERATIONS.values())}
    for key in FIELD_MEANINGS:
        request, _, field = key.rpartition(".")
        candidates = [params_types[request]] if request else params_types.values()
        assert any(field in params_type.model_fields for params_type in candidates), key


def test_the_documents_do_not_depend_on_the_request(prepared_server: Server) -> None:
    """They need no key, so a stranger must not be able to have them built again with another host name."""
    for path in (f"{API_PREFIX}/docs", f"{API_PREFIX}/openapi.json"):
        for encoding in ("gzip", "identity"):
            answers = [
                prepared_server.http.get(path, headers={"host": host, "accept-encoding": encoding})
                for host in ("localhost", "10.0.0.7:1", "10.0.0.8:2")
            ]
            assert len({answer.content for answer in answers}) == 1
            assert {answer.headers.get("content-encoding", "identity") for answer in answers} == {encoding}
            assert answers[0].headers["vary"] == "accept-encoding"
    assert prepared_server.url in prepared_server.http.get(f"{API_PREFIX}/docs").text


def test_a_document_is_built_once() -> None:
    """Requests that arrive during the build wait for it."""
    builds = count()

    def build() -> bytes:
        time.sleep(0.05)
        return b"document %d" % next(builds)

    async def request_together() -> list[Response]:
        document = Document(build, "text/plain")
        request = Request({"type": "http", "headers": [(b"accept-encoding", b"gzip")]})
        return await asyncio.gather(*(document(request) for _ in range(20)))

    # The browser of this module has an event loop in the main thread.
    with ThreadPoolExecutor(1) as executor:
        responses = executor.submit(asyncio.run, request_together()).result()
    assert next(builds) == 1
    assert len({bytes(response.body) for response in responses}) == 1
