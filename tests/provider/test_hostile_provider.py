"""A provider may send anything. Each answer ends within the deadline, in one line, with nothing stored."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from minwallet.protocols.operator_service import Game
from minwallet.protocols.registry import load_operator_service
from minwallet.provider.service_client import ProviderFailed, ProviderTimedOut, ServiceClient
from minwallet.storage.models import Agent
from tests.cli.cli_assertions import assert_error_line
from tests.provider import hostile_server
from tests.provider.hostile_server import run_hostile_server, send_body, send_report
from tests.support import InProcessCli

SERVICE = load_operator_service("vela")

TIMEOUT_S = 1.0

MARGIN_S = 5.0
"""The time for the start of a process on a busy machine."""


def connect(url: str) -> ServiceClient:
    return ServiceClient(Agent(1, "default", "default", "h1", url), TIMEOUT_S)


def send_games(games: list[Game]) -> list[bytes]:
    return send_body(SERVICE.render_games(games))


ENDLESS_ANSWERS = {
    "a head that trickles in": hostile_server.trickle_head,
    "a body that trickles in": hostile_server.trickle_body,
    "endless 1xx answers": hostile_server.send_endless_early_hints,
}

BAD_ANSWERS: dict[str, tuple[Callable[[], Iterable[bytes]], str]] = {
    "a gzip bomb": (hostile_server.send_gzip_bomb, "the response has the encoding 'gzip', expected none"),
    "empty gzip blocks": (hostile_server.send_empty_gzip_blocks, "the response has the encoding 'gzip'"),
    "endless headers": (hostile_server.send_endless_headers, "invalid response"),
    "endless chunks": (hostile_server.send_endless_chunks, "the response is longer than 2097152 bytes"),
    "a long body": (lambda: send_body(b" " * 3_000_000), "the response is longer than 2097152 bytes"),
    "a redirect": (hostile_server.send_redirect, "HTTP status 302"),
    "deep nesting": (lambda: send_body(b"[" * 500_000), "nested too deeply"),
    "a field given twice": (lambda: send_body(b'{"data":{"status_code":0,"status_code":0}}'), "'status_code' twice"),
    "invalid UTF-8": (lambda: send_body(b'{"data":"\xff"}'), "not JSON"),
    "too many rows": (lambda: send_report(b",".join([b"{}"] * 5_001)), "5001 items: expected up to 5000"),
    "not HTTP": (lambda: [b"220 mail ready\r\n"], "invalid response"),
    "an incomplete body": (lambda: [hostile_server.OK + b"content-length: 9\r\n\r\n{"], "invalid response"),
}

BAD_GAMES = {
    "too many games": (lambda: send_games([Game("1", {}, "https://g.example")] * 5_001), "up to 5000"),
    "too many languages": (
        lambda: send_games([Game("1", {str(number): "x" for number in range(51)}, "https://g.example")]),
        "up to 50 languages",
    ),
    "a long title": (lambda: send_games([Game("1", {"en": "x" * 201}, "https://g.example")]), "title"),
    "a long language": (lambda: send_games([Game("1", {"e" * 36: "x"}, "https://g.example")]), "title"),
    "a long address": (lambda: send_games([Game("1", {}, f"https://{'g' * 1024}")]), "url"),
}


@pytest.mark.parametrize("name", ENDLESS_ANSWERS)
def test_the_deadline_covers_the_whole_exchange(name: str) -> None:
    """It holds although bytes arrive all the time."""
    with run_hostile_server(ENDLESS_ANSWERS[name]) as server, connect(server.url) as service:
        started = time.monotonic()
        with pytest.raises(ProviderTimedOut, match="did not answer within 1 s"):
            service.fetch_report_page("")
        assert time.monotonic() - started < TIMEOUT_S + MARGIN_S


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_a_bad_answer_is_one_line(name: str) -> None:
    """The request asks for no encoding, and no answer is decoded, followed or guessed."""
    answer, words = BAD_ANSWERS[name]
    with run_hostile_server(answer) as server, connect(server.url) as service:
        with pytest.raises(ProviderFailed) as caught:
            service.fetch_report_page("")
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)
        (request,) = server.requests
        assert b"accept-encoding: identity\r\n" in request.lower()


def test_a_huge_number_spoils_its_row_only() -> None:
    """Python converts no number of 5,000 digits."""
    row = b'{"ticket_id":1,"id":' + b"9" * 5_000 + b"}"
    with run_hostile_server(lambda: send_report(b",".join([row] * 300))) as server, connect(server.url) as service:
        assert service.fetch_report_page("").rows == []
        assert (service.skipped.count, len(service.skipped.lines)) == (300, 20)
        assert max(map(len, service.skipped.lines)) < 200


@pytest.mark.parametrize("name", BAD_GAMES)
def test_a_game_list_is_limited(name: str) -> None:
    """The list is kept in memory, and each launch reads it."""
    answer, words = BAD_GAMES[name]
    with (
        run_hostile_server(answer) as server,
        connect(server.url) as service,
        pytest.raises(ProviderFailed, match=words),
    ):
        service.fetch_games()


def test_a_name_that_does_not_resolve_meets_the_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver of the system cannot be interrupted."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket, time\nsocket.getaddrinfo = lambda *_, **__: time.sleep(60)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    started = time.monotonic()
    with connect("http://provider.example") as service, pytest.raises(ProviderTimedOut):
        service.fetch_games()
    assert time.monotonic() - started < TIMEOUT_S + MARGIN_S


def test_a_pull_from_a_provider_with_ever_new_keys_ends(cli: InProcessCli) -> None:
    """It says where it stopped, and the next one goes on there."""
    row = {"id": 1, "ticket_id": 1, "game_code": "fish", "username": "ann", "bet_stake": 1, "payout_amount": 0}

    keys = iter(range(1, 1_000))

    def answer() -> Iterable[bytes]:
        body = {"data": {"status_code": 0, "key": str(next(keys)), "report": [row]}}
        return send_body(json.dumps(body).encode(), b"connection: close")

    with run_hostile_server(answer) as server:
        cli("agent", "add", "first")
        cli("agent", "set", "default", "--host-id", "h1", "--service-url", server.url)
        result = cli.run("report", "pull", "--max-pages", "3")
        assert (result.code, result.out) == (1, "fetched 3 rows; stopped after 3 pages at key 3\n")
        assert "to go on, run the command again" in result.err
        assert cli.run("report", "pull", "--max-pages", "2", "--json").json == {
            "agent": "default",
            "rows": 2,
            "pages": 2,
            "key": "5",
            "complete": False,
            "skipped": 0,
            "skipped_lines": [],
        }
        assert [each.partition(b" HTTP")[0].partition(b"key=")[2] for each in server.requests] == [
            *(b"0", b"1", b"2"),
            *(b"3", b"4"),
        ]
        assert_error_line(cli.run("reconcile"), 1, "never fetched completely")
        assert cli.run("report", "pull", "--max-pages", "0").code == 2
