"""Transactions: search, and the page of one transaction."""

import html
import json
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support import InProcessCli, Server, running_server
from tests.web.backoffice.admin_client import (
    AdminClient,
    create_player,
    open_session,
    read_field,
    read_table_rows,
    sign_in,
)

PATH = "/admin/transactions"


@pytest.fixture(scope="module")
def played_seqs(server: Server) -> dict[str, int]:
    """Return the seqs of a won round, a cancelled one, a refused bet and a tombstone."""
    name = server.cli.add_player(balance="100", bonus="5")
    token = server.cli.open_session(name)
    server.wallet_v2(type="bet", bet=10_300, id=501, game=1012, code=token)
    server.wallet_v2(type="win", win=20_000, id=502, round_id=501, game=1012, code=token)
    server.vela("bet", access_token=token, ticket_id=601, total_bet=100, game_code="f%sh&")
    server.vela("refund", access_token=token, ticket_id=601)
    server.wallet_v2(type="bet", bet=999_999, id=503, game="it's", code=token)
    server.wallet_v2(type="cancel", id=504, code=token)
    seqs = [entry["seq"] for entry in server.cli.read_entries(name)]
    return dict(zip(("opening", "bet", "win", "vela_bet", "refund", "refused", "closed"), seqs, strict=True))


def test_pages_continue_and_keep_the_filter(server: Server, admin_client: AdminClient) -> None:
    """Entries are newest first, each once, and all pages have the filter."""
    name = server.cli.add_player()
    token = server.cli.open_session(name)
    for number in range(60):
        server.wallet_v2(type="bet", bet=0, id=9_000 + number, game=7, code=token)
    address, ids = f"{PATH}?player={name}&kind=bet", []
    while address:
        page = admin_client.get_page(address)
        ids += [row[7] for row in read_table_rows(page)]
        following = re.findall(r'rel="next" href="([^"]+)"', page)
        address = following[0].replace("&amp;", "&") if following else ""
        assert not address or f"player={name}&kind=bet" in address
    assert ids == [str(9_059 - number) for number in range(60)]


def test_empty_fields_are_removed_from_the_url(admin_client: AdminClient) -> None:
    """A form sends its empty fields too, but the URL does not contain them."""
    response = admin_client.http.get(f"{PATH}?player=ann&kind=&id=&from=&to=2026-11-21")
    assert response.status_code == 303
    assert response.headers["location"] == f"{PATH}?player=ann&to=2026-11-21T00%3A00%3A00"


def test_invalid_filters_are_reported_and_kept(admin_client: AdminClient) -> None:
    """Errors are beside the field, and the other fields keep their values."""
    page = admin_client.get_page(f"{PATH}?player=ann&from=yesterday&kind=bet", 422)
    assert "a date and time in UTC" in page
    assert read_field(page, "player") == "ann"
    assert "<option selected>bet</option>" in page


def test_a_search_for_rare_entries_can_continue(db: Path) -> None:
    """A page reads a limited number of entries, shows how far it came, and has a link to continue."""
    rows = [f"seeded{number},USD,1.00" for number in range(10_100)]
    db.with_suffix(".csv").write_text("\n".join(["player_id,currency,balance", *rows]))
    InProcessCli(db)("seed", db.with_suffix(".csv"))
    with running_server(db) as server:
        admin_client = AdminClient(server)
        page = admin_client.get_page(f"{PATH}?kind=bet")
        assert "No transactions found among the searched entries." in page
        assert "Searched back to entry 101. There are older entries." in page
        (following,) = re.findall(r'rel="next" href="([^"]+)">Search older entries', page)
        page = admin_client.get_page(following.replace("&amp;", "&"))
        assert "No transactions found." in page
        assert 'rel="next"' not in page
        admin_client.http.close()


def test_a_filter_is_typed_into_a_form(server: Server, played_seqs: dict[str, int], page: Page) -> None:
    """The URL contains the entered values."""
    sign_in(page, server)
    page.goto(f"{server.url}{PATH}")
    page.locator("summary").click()
    page.get_by_label("Id", exact=True).fill("501")
    page.get_by_label("Kind").select_option("bet")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert parse_qs(urlsplit(page.url).query) == {"id": ["501"], "kind": ["bet"]}
    expect(page.get_by_label("Id", exact=True)).to_have_value("501")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 2
    page.get_by_role("link", name=str(played_seqs["bet"]), exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Entry {played_seqs['bet']}: bet")


def test_an_entry_is_described(admin_client: AdminClient, played_seqs: dict[str, int]) -> None:
    """The page has a description, the balance before, and the related entries."""
    page = admin_client.get_page(f"{PATH}/{played_seqs['bet']}")
    assert "bet 103.00 USD (100.00 cash, 3.00 bonus)." in page
    minus = "\N{MINUS SIGN}"
    assert read_table_rows(page)[:2] == [["100.00", f"{minus}100.00", "0.00"], ["5.00", f"{minus}3.00", "2.00"]]
    assert [row[0] for row in read_table_rows(page)[2:]] == [str(played_seqs["bet"]), str(played_seqs["win"])]
    assert [row[0] for row in read_table_rows(admin_client.get_page(f"{PATH}/{played_seqs['refund']}"))[2:]] == [
        str(played_seqs["vela_bet"]),
        str(played_seqs["refund"]),
    ]
    assert "the balance was too low" in admin_client.get_page(f"{PATH}/{played_seqs['refused']}")
    assert "The id is closed permanently" in admin_client.get_page(f"{PATH}/{played_seqs['closed']}")
    assert "account started with 105.00 USD" in admin_client.get_page(f"{PATH}/{played_seqs['opening']}")


def test_an_entry_shows_its_place_in_the_chain(
    server: Server, admin_client: AdminClient, played_seqs: dict[str, int]
) -> None:
    """It has its hash, and the hash of the previous entry."""
    before = server.cli("show", played_seqs["bet"])["entry"]["hash"]
    page = admin_client.get_page(f"{PATH}/{played_seqs['win']}")
    assert before in page
    assert server.cli("show", played_seqs["win"])["entry"]["hash"] in page
    assert f'href="{PATH}/{played_seqs["bet"]}"' in page
    assert "first entry" in admin_client.get_page(f"{PATH}/{played_seqs['opening']}")


@pytest.mark.parametrize("which", ["bet", "win", "vela_bet", "refund", "refused", "closed"])
def test_the_curl_command_repeats_the_call(server: Server, played_seqs: dict[str, int], page: Page, which: str) -> None:
    """The copied command runs in a shell, and moves no money a second time."""
    sign_in(page, server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}{PATH}/{played_seqs[which]}")
    page.get_by_role("button", name="Copy the command").click()
    expect(page.locator("#toasts")).to_have_text("Copied.")
    curl = page.evaluate("navigator.clipboard.readText()")
    owner = page.locator(".facts a").first.inner_text()
    asked = curl.replace("TOKEN", open_session(server, owner))
    assert shlex.split(curl)[0] == "curl"
    before = page.request.get(f"{server.url}{PATH}.json?player={owner}").json()
    done = subprocess.run(["sh", "-c", f"{asked} --silent"], check=True, capture_output=True, text=True, timeout=30)
    assert json.loads(done.stdout).keys() >= {"time"} or "status_code" in done.stdout
    assert "malformed" not in done.stdout.lower()
    assert page.request.get(f"{server.url}{PATH}.json?player={owner}").json() == before


def test_a_pruned_call_has_an_equivalent_curl_command(db: Path) -> None:
    """If the call is no longer stored, the command has the same content."""
    with running_server(db, MINWALLET_JOURNAL_DAYS="0", MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        name = server.cli.add_player()
        token = server.cli.open_session(name)
        server.vela("bet", access_token=token, ticket_id=7, total_bet=5, game_code="slot")
        admin_client = AdminClient(server)
        page = html.unescape(admin_client.get_page(f"{PATH}/2"))
        admin_client.http.close()
    assert "no longer stored" in page
    call = "https://wallet.example.com/api/bet?access_token=TOKEN&ticket_id=7&total_bet=5&game_code=slot"
    assert f"curl --globoff '{call}'" in page


def test_request_and_reply_are_copied_verbatim(server: Server, page: Page) -> None:
    """The copy is verbatim, although the page formats them."""
    name = create_player(server)
    token = open_session(server, name)
    body = '{ "type":"bet","bet": 5,  "id":777, "game":"<b>","code":"' + token + '"}'
    reply = server.http.post("/wallet", content=body).text
    sign_in(page, server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}{PATH}?player={name}&id=777")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Copy the raw request").click()
    expect(page.locator("#toasts")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "POST /wallet " + body.replace(token, "TOKEN")
    page.get_by_role("button", name="Copy the raw reply").click()
    expect(page.locator("#toasts .toast")).to_have_count(2)
    assert page.evaluate("navigator.clipboard.readText()") == reply
    assert token not in page.content()


@pytest.mark.parametrize("seq", ["0", "x", "999999999", str(2**63), "9" * 30])
def test_an_unknown_entry_is_404(admin_client: AdminClient, seq: str) -> None:
    """The page says that there is no such entry."""
    admin_client.get_page(f"{PATH}/{seq}", 404)


def test_every_page_and_stream_needs_a_session(server: Server, admin_client: AdminClient) -> None:
    """This holds for every page, file and stream."""
    for path in (PATH, f"{PATH}.csv", f"{PATH}.json", f"{PATH}/1", "/admin/feed", "/admin/players", "/admin/rounds"):
        response = server.http.get(path)
        assert response.status_code == 303
        assert response.headers["location"].startswith("/admin/sign-in")
    assert admin_client.http.get("/admin/feed?kind=nonsense").status_code == 400
