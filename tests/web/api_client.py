"""A client of the admin API."""

import json
from typing import Any

import httpx2

from minwallet.web.admin_api.problems import API_PREFIX
from tests.support import Server

PLAYERS_PATH = "/agents/default/players"


class ApiClient:
    """A client with a key, or without one."""

    def __init__(self, server: Server, key: str | None = None) -> None:
        self.http = server.http
        self.headers = {"authorization": f"Bearer {key}"} if key else {}

    def request(self, method: str, path: str, body: object = None, **query: object) -> httpx2.Response:
        """Send a request to this path below the API's prefix, and return the response."""
        content = None if body is None else json.dumps(body)
        params = {name: str(value) for name, value in query.items()}
        return self.http.request(
            method, API_PREFIX + path, headers=self.headers, content=content, params=params or None
        )

    def get(self, path: str, **query: object) -> Any:  # noqa: ANN401 the document
        """Send a GET that must succeed, and return its document."""
        return read_success(self.request("GET", path, **query))

    def post(self, path: str, **body: object) -> Any:  # noqa: ANN401 the document
        """Send a POST of these fields that must succeed, and return its document."""
        return read_success(self.request("POST", path, body))


def read_success(response: httpx2.Response, status: int | None = None) -> Any:  # noqa: ANN401 the document
    """Return the document of a successful response."""
    assert status in (None, response.status_code), response.text
    assert response.is_success, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def assert_problem(response: httpx2.Response, status: int, code: str, *words: str) -> dict[str, Any]:
    """Check that the response is a problem of this status and type, whose detail has these words. Return the
    problem."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"{API_PREFIX}/docs#{code}"
    assert problem["status"] == status
    assert problem["title"]
    for each in words:
        assert each in problem["detail"]
    return problem


def get_error_locations(problem: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the locations of the field errors in a problem."""
    return {(each["where"], each["name"]) for each in problem["errors"]}


def create_key(server: Server, name: str, scope: str = "write", agent: str | None = None) -> str:
    """Create a key by command, and return it."""
    agent_option = ["--agent", agent] if agent else []
    key: str = server.cli("key", "add", name, "--scope", scope, *agent_option)["key"]
    return key
