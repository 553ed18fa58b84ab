"""The stream of rows: who may read it, from where on, and until when."""

import re

import pytest

from tests.support import Server
from tests.web.backoffice.clerk import Clerk


@pytest.fixture(scope="module")
def name(server: Server) -> str:
    return server.cli.player()


def read_rows(clerk: Clerk, address: str, number: int) -> str:
    """The stream until it has brought so many rows."""
    text = ""
    with clerk.http.stream("GET", address) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for piece in response.iter_text():
            text += piece
            if text.count("<tr") == number:
                break
    return text


def test_a_stream_goes_on_where_the_page_ended(server: Server, clerk: Clerk, name: str) -> None:
    """After the row that is named, oldest first; each row has its number for whoever comes again."""
    seqs = [server.cli("deposit", name, f"{number}.00")["seq"] for number in (1, 2, 3)]
    text = read_rows(clerk, f"/admin/feed?player={name}&after={seqs[0]}", 2)
    assert re.findall(r"^id: (\d+)$", text, re.MULTILINE) == [str(seq) for seq in seqs[1:]]
    assert f"/admin/players/default/{name}" in text
    assert f"/admin/players/default/{name}" not in read_rows(
        clerk, f"/admin/feed?player={name}&after={seqs[0]}&of=player", 2
    )


def test_what_the_browser_has_seen_counts_more(server: Server, clerk: Clerk, name: str) -> None:
    """A connection that was lost goes on after the last row that came."""
    seqs = [server.cli("deposit", name, f"{number}.00")["seq"] for number in (4, 5)]
    clerk.http.headers["last-event-id"] = str(seqs[0])
    try:
        text = read_rows(clerk, f"/admin/feed?player={name}&after=0", 1)
    finally:
        del clerk.http.headers["last-event-id"]
    assert re.findall(r"^id: (\d+)$", text, re.MULTILINE) == [str(seqs[1])]


def test_whoever_has_signed_out_reads_no_more(server: Server, name: str) -> None:
    """A stream that is open when its reader signs out ends by itself, with the next row or soon after."""
    clerk = Clerk(server)
    with clerk.http.stream("GET", f"/admin/feed?player={name}") as response:
        pieces = response.iter_text()
        next(pieces)
        assert clerk.send("/admin/sign-out").status_code == 303
        for number in range(100):
            server.cli("deposit", name, f"{number + 1}.00")
            if next(pieces, None) is None:
                break
        else:
            pytest.fail("the stream goes on")
    clerk.http.close()
