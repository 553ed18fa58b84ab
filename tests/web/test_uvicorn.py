"""minwallet subclasses private modules of uvicorn, which may change in any release.

`pyproject.toml` admits one minor version. These tests say what to look at before that bound is raised.
"""

import inspect
import tomllib

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from tests.support import ROOT

METHODS = {
    HttpToolsProtocol: {
        "connection_made": ["self", "transport"],
        "connection_lost": ["self", "exc"],
        "data_received": ["self", "data"],
        "eof_received": ["self"],
        "on_message_begin": ["self"],
        "on_url": ["self", "url"],
        "on_header": ["self", "name", "value"],
        "on_body": ["self", "body"],
        "on_headers_complete": ["self"],
        "_start_asgi_task": ["self", "cycle", "app"],
        "send_400_response": ["self", "msg"],
        "shutdown": ["self"],
    },
    FlowControl: {"__init__": ["self", "transport"], "resume_reading": ["self"]},
}
"""The methods that the subclasses override, with their parameters."""

PROTOCOL_ATTRIBUTES = {
    "app", "connections", "cycle", "flow", "loop", "parser", "pipeline", "scope", "server", "server_state",
    "timeout_keep_alive", "timeout_keep_alive_task", "transport",
}  # fmt: skip
"""The instance attributes that the subclass reads or sets."""

CYCLE_ATTRIBUTES = {"disconnected", "keep_alive", "more_body", "response_complete", "scope"}


def test_uvicorn_is_bounded_to_the_version_that_was_read() -> None:
    """The bound admits the installed minor version only."""
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    major, minor = (int(part) for part in uvicorn.__version__.split(".")[:2])
    assert f"uvicorn>={major}.{minor},<{major}.{minor + 1}" in dependencies


def test_uvicorn_still_has_the_methods_that_are_overridden() -> None:
    """Each overridden method exists and takes the same parameters."""
    for base, methods in METHODS.items():
        for name, parameters in methods.items():
            method = getattr(base, name, None)
            assert method is not None, f"uvicorn {uvicorn.__version__}: {base.__name__}.{name} is gone"
            assert list(inspect.signature(method).parameters) == parameters, f"{base.__name__}.{name} has changed"


def test_uvicorn_still_has_the_attributes_that_are_used() -> None:
    """Each attribute that the subclass uses is still one of the base class."""
    for base, used in ((HttpToolsProtocol, PROTOCOL_ATTRIBUTES), (RequestResponseCycle, CYCLE_ATTRIBUTES)):
        source = inspect.getsource(base)
        assert {name for name in used if f"self.{name}" not in source} == set(), base.__name__
