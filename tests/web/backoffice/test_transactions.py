"""Transactions are looked for, and each is explained."""

import html
import json
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support import Server, serving
from tests.web.backoffice.clerk import Clerk, cells, enter, field, make_player, open_session

PATH = "/admin/transactions"


@pytest.fixture(scope="module")
def played(server: Server) -> dict[str, int]:
    """A round that was won, one called off, a bet refused and a tombstone; and the seqs of them."""
    name = server.cli.player(balance="100", bonus="5")
    token = server.cli.session(name)
    server.wallet_v2(type="bet", bet=10_300, id=501, game=1012, code=token)
    server.wallet_v2(type="win", win=20_000, id=502, round_id=501, game=1012, code=token)
    server.vela("bet", access_token=token, ticket_id=601, total_bet=100, game_code="f%sh&")
    server.vela("refund", access_token=token, ticket_id=601)
    server.wallet_v2(type="bet", bet=999_999, id=503, game="it's", code=token)
    server.wallet_v2(type="cancel", id=504, code=token)
    seqs = [entry["seq"] for entry in server.cli.entries(name)]
    return dict(zip(("opening", "bet", "win", "vela_bet", "refund", "refused", "closed"), seqs, strict=True))


def test_pages_go_on_where_the_last_one_ended(server: Server, clerk: Clerk) -> None:
    """Newest first, each entry once, and the filter is kept."""
    name = server.cli.player()
    token = server.cli.session(name)
    for number in range(60):
        server.wallet_v2(type="bet", bet=0, id=9_000 + number, game=7, code=token)
    address, ids = f"{PATH}?player={name}&kind=bet", []
    while address:
        page = clerk.read(address)
        ids += [row[7] for row in cells(page)]
        following = re.findall(r'rel="next" href="([^"]+)"', page)
        address = following[0].replace("&amp;", "&") if following else ""
        assert not address or f"player={name}&kind=bet" in address
    assert ids == [str(9_059 - number) for number in range(60)]


def test_an_address_says_only_what_is_asked_for(clerk: Clerk) -> None:
    """A form sends its empty fields, too; they are left out of what is shared."""
    response = clerk.http.get(f"{PATH}?player=ann&kind=&id=&from=&to=2026-11-21")
    assert response.status_code == 303
    assert response.headers["location"] == f"{PATH}?player=ann&to=2026-11-21T00%3A00%3A00"


def test_nonsense_is_said_and_nothing_typed_is_lost(clerk: Clerk) -> None:
    """Beside the field; the others stay as they were."""
    page = clerk.read(f"{PATH}?player=ann&from=yesterday&kind=bet", 422)
    assert "a date and time in UTC" in page
    assert field(page, "player") == "ann"
    assert "<option selected>bet</option>" in page


def test_looking_for_what_is_rare_can_go_on(db: Path) -> None:
    """A page looks at so many entries, says how far it came, and where to go on."""
    rows = [f"seeded{number},USD,1.00" for number in range(10_100)]
    db.with_suffix(".csv").write_text("\n".join(["player_id,currency,balance", *rows]))
    with serving(db) as server:
        server.cli("seed", db.with_suffix(".csv"))
        clerk = Clerk(server)
        page = clerk.read(f"{PATH}?kind=bet")
        assert "Nothing found among the entries that were looked at." in page
        assert "Looked back as far as entry 101; there are older ones." in page
        (following,) = re.findall(r'rel="next" href="([^"]+)">Search further', page)
        page = clerk.read(following.replace("&amp;", "&"))
        assert "Nothing found." in page
        assert 'rel="next"' not in page
        clerk.http.close()


def test_a_filter_is_typed_into_a_form(server: Server, played: dict[str, int], page: Page) -> None:
    """And its address says what was typed."""
    enter(page, server)
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
    page.get_by_role("link", name=str(played["bet"]), exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"Entry {played['bet']}: bet")


def test_an_entry_is_explained(clerk: Clerk, played: dict[str, int]) -> None:
    """In words, with what there was before, and what belongs to it."""
    page = clerk.read(f"{PATH}/{played['bet']}")
    assert "bet 103.00 USD (100.00 cash, 3.00 bonus)." in page
    minus = "\N{MINUS SIGN}"
    assert cells(page)[:2] == [["100.00", f"{minus}100.00", "0.00"], ["5.00", f"{minus}3.00", "2.00"]]
    assert [row[0] for row in cells(page)[2:]] == [str(played["bet"]), str(played["win"])]
    assert [row[0] for row in cells(clerk.read(f"{PATH}/{played['refund']}"))[2:]] == [
        str(played["vela_bet"]),
        str(played["refund"]),
    ]
    assert "there was too little money" in clerk.read(f"{PATH}/{played['refused']}")
    assert "The id is closed for ever" in clerk.read(f"{PATH}/{played['closed']}")
    assert "account began with 105.00 USD" in clerk.read(f"{PATH}/{played['opening']}")


def test_an_entry_shows_its_place_in_the_chain(server: Server, clerk: Clerk, played: dict[str, int]) -> None:
    """Its hash, and that of the entry before it."""
    before = server.cli("show", played["bet"])["entry"]["hash"]
    page = clerk.read(f"{PATH}/{played['win']}")
    assert before in page
    assert server.cli("show", played["win"])["entry"]["hash"] in page
    assert f'href="{PATH}/{played["bet"]}"' in page
    assert "first entry" in clerk.read(f"{PATH}/{played['opening']}")


@pytest.mark.parametrize("which", ["bet", "win", "vela_bet", "refund", "refused", "closed"])
def test_a_call_can_be_made_again_as_it_was(server: Server, played: dict[str, int], page: Page, which: str) -> None:
    """The command that is copied runs in a shell as it is, and moves no money twice."""
    enter(page, server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}{PATH}/{played[which]}")
    page.get_by_role("button", name="Copy as curl").click()
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


def test_words_that_were_forgotten_can_be_said_again(db: Path) -> None:
    """Of a call that is no longer kept there is one of the same content."""
    with serving(db, MINWALLET_JOURNAL_DAYS="0", MINWALLET_PUBLIC_URL="https://wallet.example.com") as server:
        name = server.cli.player()
        token = server.cli.session(name)
        server.vela("bet", access_token=token, ticket_id=7, total_bet=5, game_code="slot")
        clerk = Clerk(server)
        page = html.unescape(clerk.read(f"{PATH}/2"))
        clerk.http.close()
    assert "no longer kept" in page
    call = "https://wallet.example.com/api/bet?access_token=TOKEN&ticket_id=7&total_bet=5&game_code=slot"
    assert f"curl --globoff '{call}'" in page


def test_request_and_reply_are_copied_as_they_were(server: Server, page: Page) -> None:
    """However they are laid out for reading."""
    name = make_player(server)
    token = open_session(server, name)
    body = '{ "type":"bet","bet": 5,  "id":777, "game":"<b>","code":"' + token + '"}'
    reply = server.http.post("/wallet", content=body).text
    enter(page, server)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{server.url}{PATH}?player={name}&id=777")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Copy the request as it was").click()
    expect(page.locator("#toasts")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "POST /wallet " + body.replace(token, "TOKEN")
    page.get_by_role("button", name="Copy the reply as it was").click()
    expect(page.locator("#toasts .toast")).to_have_count(2)
    assert page.evaluate("navigator.clipboard.readText()") == reply
    assert token not in page.content()


@pytest.mark.parametrize("seq", ["0", "x", "999999999", str(2**63), "9" * 30])
def test_an_entry_that_is_not_there(clerk: Clerk, seq: str) -> None:
    """Is said to be none."""
    clerk.read(f"{PATH}/{seq}", 404)


def test_nobody_else_sees_anything(server: Server, clerk: Clerk) -> None:
    """Every page, file and stream is for whoever is signed in."""
    for path in (PATH, f"{PATH}.csv", f"{PATH}.json", f"{PATH}/1", "/admin/feed", "/admin/players", "/admin/rounds"):
        response = server.http.get(path)
        assert response.status_code == 303
        assert response.headers["location"].startswith("/admin/sign-in")
    assert clerk.http.get("/admin/feed?kind=nonsense").status_code == 400
