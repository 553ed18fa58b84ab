"""The stream of entries: its readers, its start, and its end."""

import re

import pytest

from tests.support import Server
from tests.web.backoffice.admin_client import AdminClient


@pytest.fixture(scope="module")
def name(server: Server) -> str:
    return server.cli.add_player()


def read_rows(admin_client: AdminClient, address: str, number: int) -> str:
    """Read the stream until it has this number of rows."""
    text = ""
    with admin_client.http.stream("GET", address) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        for piece in response.iter_text():
            text += piece
            if text.count("<tr") == number:
                break
    return text


def test_a_stream_starts_after_the_given_entry(server: Server, admin_client: AdminClient, name: str) -> None:
    """Entries are oldest first, and each has its number for a reconnection."""
    seqs = [server.cli("deposit", name, f"{number}.00")["seq"] for number in (1, 2, 3)]
    text = read_rows(admin_client, f"/admin/feed?player={name}&after={seqs[0]}", 2)
    assert re.findall(r"^id: (\d+)$", text, re.MULTILINE) == [str(seq) for seq in seqs[1:]]
    assert f"/admin/players/default/{name}" in text
    assert f"/admin/players/default/{name}" not in read_rows(
        admin_client, f"/admin/feed?player={name}&after={seqs[0]}&of=player", 2
    )


def test_last_event_id_overrides_after(server: Server, admin_client: AdminClient, name: str) -> None:
    """A reconnection continues after the last received entry."""
    seqs = [server.cli("deposit", name, f"{number}.00")["seq"] for number in (4, 5)]
    admin_client.http.headers["last-event-id"] = str(seqs[0])
    try:
        text = read_rows(admin_client, f"/admin/feed?player={name}&after=0", 1)
    finally:
        del admin_client.http.headers["last-event-id"]
    assert re.findall(r"^id: (\d+)$", text, re.MULTILINE) == [str(seqs[1])]


def test_signing_out_ends_the_stream(server: Server, name: str) -> None:
    """An open stream ends with the next entry, or soon after."""
    admin_client = AdminClient(server)
    with admin_client.http.stream("GET", f"/admin/feed?player={name}") as response:
        pieces = response.iter_text()
        next(pieces)
        assert admin_client.submit("/admin/sign-out").status_code == 303
        for number in range(100):
            server.cli("deposit", name, f"{number + 1}.00")
            if next(pieces, None) is None:
                break
        else:
            pytest.fail("the stream goes on")
    admin_client.http.close()
