"""The page of `minwallet demo` in a real browser."""

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from minwallet.demo.game_rules import GAMES
from minwallet.web.demo.scenarios import FAULT_SCENARIOS
from tests.demo.demo_process import DemoProcess, run_demo
from tests.demo.in_process_client import PROTOCOLS
from tests.support import InProcessCli, Server
from tests.web.browser import (
    PHONE,
    Visitor,
    assert_accessible,
    assert_fits,
    measure_first_paint_bytes,
)

GAMES_BY_PROTOCOL = [(protocol, game.code) for protocol in PROTOCOLS for game in GAMES]

PLAYER_CURRENCIES = {"alice": "USD", "bob": "USD", "carol": "EUR"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoProcess]:
    """Run a demo, and verify its ledger at the end."""
    with run_demo(tmp_path_factory.mktemp("demo"), "--rounds", 2, "--seed", 7) as running:
        running.wait_until_ready()
        yield running
        running.cli.assert_ledger_valid()


@pytest.fixture
def demo_page(demo: DemoProcess, page: Page) -> Page:
    """Open the page, and wait until its feed is connected."""
    return open_demo_page(demo, page)


def open_demo_page(demo: DemoProcess, page: Page) -> Page:
    # The default is the first protocol in alphabetical order, which depends on what is installed.
    page.goto(f"{demo.page_url}?protocol=wallet-v2")
    expect(page.locator(".live .on")).to_be_visible()
    return page


def choose_game(page: Page, protocol: str, game: str) -> None:
    """Choose a game by clicking its label, as a person does."""
    page.locator(f"label:has(#protocol-{protocol})").click()
    page.locator(f"label:has(#game-{game})").click()
    expect(page.locator({"slot": ".reels", "fish": ".sea", "zodiac": ".ring"}[game])).to_be_visible()


def play_round(page: Page, button: str = "#spin") -> None:
    """Press the button, and wait for the result."""
    with page.expect_response("**/demo/play") as answered:
        page.locator(button).click()
    answered.value.finished()
    expect(page.locator("#cabinet")).not_to_have_attribute("aria-busy", "true")


def wait_for_ledger(page: Page) -> None:
    """Wait until all entries of the report are in the live ledger, so that nothing moves any more."""
    told = page.locator("#story a[href^='#entry-']").last.get_attribute("href")
    expect(page.locator(f"{told}")).to_be_visible()


def read_total(cli: InProcessCli, player: str = "alice") -> int:
    return sum(cli.read_balances(player, PLAYER_CURRENCIES[player]))


def format_cents(cents: int) -> str:
    return f"{cents / 100:,.2f}"


def read_entries_since(cli: InProcessCli, seq: int, player: str = "alice") -> list[dict[str, Any]]:
    return [entry for entry in cli.read_entries(player) if entry["seq"] > seq]


def read_newest_seq(cli: InProcessCli, player: str = "alice") -> int:
    seq: int = cli.read_entries(player)[-1]["seq"]
    return seq


def test_a_round_is_in_the_live_ledger_within_a_second(demo: DemoProcess, demo_page: Page) -> None:
    """The page is not reloaded. The balance follows, and both agree with the wallet."""
    fresh = demo_page.locator("#ledger > li.fresh")
    expect(fresh).to_have_count(0)
    started = time.monotonic()
    demo_page.locator("#spin").click()
    expect(fresh).to_have_count(2, timeout=1000)
    assert time.monotonic() - started < 1
    expect(fresh.nth(0)).to_contain_text("win")
    expect(fresh.nth(1)).to_contain_text("\N{MINUS SIGN}1.00")
    assert fresh.nth(0).get_attribute("data-seq") == str(read_newest_seq(demo.cli))
    assert fresh.nth(0).get_attribute("data-total") == str(read_total(demo.cli))
    expect(demo_page.locator("#purse")).to_have_text(f"{format_cents(read_total(demo.cli))} USD")


@pytest.mark.parametrize(("protocol", "game"), GAMES_BY_PROTOCOL)
def test_every_game_is_played_in_both_protocols(demo: DemoProcess, demo_page: Page, protocol: str, game: str) -> None:
    """The provider uses the chosen protocol, the stake is the entered one, and the result is announced."""
    before = read_newest_seq(demo.cli)
    choose_game(demo_page, protocol, game)
    demo_page.get_by_label("Stake", exact=True).fill("2.50")
    play_round(demo_page)
    made = read_entries_since(demo.cli, before)
    assert {entry["protocol"] for entry in made} == {protocol}
    assert made[0]["round"] == made[-1]["round"]
    assert {entry["game"] for entry in made} <= {game, next(each.number for each in GAMES if each.code == game)}
    moved = sum(entry["amount"] + entry["bonus_amount"] for entry in made)
    outcome = demo_page.get_by_role("status").filter(has_text="Staked 2.50 USD")
    returned = re.search(r"paid out (\S+)\.", outcome.inner_text())
    assert returned
    assert moved == (0 if returned[1] == "nothing" else round(float(returned[1]) * 100)) - 250


def test_a_bet_on_the_zodiac_table_is_the_one_that_was_chosen(demo: DemoProcess, demo_page: Page) -> None:
    """The choice stays for the next round."""
    choose_game(demo_page, "vela", "zodiac")
    demo_page.locator("label:has(#choice-z5)").click()
    play_round(demo_page)
    expect(demo_page.locator("#outcome")).to_contain_text("you bet on Dragon")
    expect(demo_page.locator("#choice-z5")).to_be_checked()
    bet = next(entry for entry in reversed(demo.cli.read_entries("alice")) if entry["kind"] == "bet")
    assert "key=z5" in demo.cli("show", bet["seq"])["request"]


def test_the_stake_goes_up_and_down_in_steps(demo_page: Page) -> None:
    """The stake stays in range, also from an entered amount; an invalid amount is reported."""
    stake = demo_page.get_by_label("Stake", exact=True)
    for button, start, expected in (("Higher", "1.00", "2.00"), ("Lower", "0.10", "0.10"), ("Lower", "7.30", "5.00")):
        stake.fill(start)
        demo_page.get_by_role("button", name=f"{button} stake").click()
        expect(stake).to_have_value(expected)
    stake.fill("a lot")
    play_round(demo_page)
    expect(demo_page.locator("#outcome")).to_contain_text("Invalid amount")
    stake.fill("100.01")
    play_round(demo_page)
    expect(demo_page.locator("#outcome")).to_contain_text("from 0.01 to 100.00")


@pytest.mark.parametrize("trick", FAULT_SCENARIOS)
def test_balances_are_right_despite_provider_faults(demo: DemoProcess, demo_page: Page, trick: str) -> None:
    """In every game and both protocols, the page agrees with the ledger as seen from outside."""
    cli = demo.cli
    for protocol, game in GAMES_BY_PROTOCOL:
        choose_game(demo_page, protocol, game)
        before, had = read_newest_seq(cli), read_total(cli)
        play_round(demo_page, f"#trick-{trick}")
        has, made = read_total(cli), read_entries_since(cli, before)
        story = demo_page.locator("#story")
        expect(story).to_contain_text(FAULT_SCENARIOS[trick].explanation)
        expect(story.locator(".verdict.right")).to_be_visible()
        expect(story.locator(".sum strong")).to_have_text(format_cents(has))
        expect(demo_page.locator("#purse")).to_have_text(f"{format_cents(has)} USD")
        assert has - had == sum(entry["amount"] + entry["bonus_amount"] for entry in made)
        assert len({(entry["kind"], entry["id"]) for entry in made}) == len(made)
        kinds = [(entry["kind"], entry["state"]) for entry in made]
        one_call = (protocol, game) == ("vela", "slot")
        paid = [("betwin", "applied")] if one_call else [("bet", "applied"), ("win", "applied")]
        match trick:
            case "win-twice" | "lost-reply":
                assert kinds == paid
                assert has > had
                expect(story).to_contain_text("attempt 2")
            case "cancel-first":
                assert (kinds, has) == ([("cancel", "closed")], had)
            case "too-little":
                assert (kinds, has) == ([("betwin" if one_call else "bet", "refused")], had)
            case _:
                called_off = [("bet", "applied"), ("cancel", "applied")]
                assert kinds == (paid if one_call else called_off)
                assert one_call or has == had
    cli.assert_ledger_valid()


def test_an_entry_opens_and_its_replay_moves_nothing(demo: DemoProcess, demo_page: Page) -> None:
    """An entry shows request and reply verbatim and the call as curl without the token. Its replay is a real call
    that changes nothing."""
    choose_game(demo_page, "wallet-v2", "slot")
    play_round(demo_page)
    cli, before = demo.cli, read_newest_seq(demo.cli)
    had, kept = read_total(cli), cli("show", before)
    entry = demo_page.locator(f"#entry-{before}")
    entry.locator("summary").click()
    expect(entry).to_contain_text(kept["request"])
    expect(entry).to_contain_text(kept["reply"])
    curl = entry.locator(".copyable code").inner_text()
    assert re.fullmatch(r"curl --globoff http://\S+/wallet --data-raw '\{.*\"code\":\"TOKEN\".*\}'", curl)
    entry.get_by_role("button", name="Replay this call").click()
    expect(entry.locator(".replayed")).to_contain_text(
        f"No money moved, and no entry was made: {format_cents(had)} USD before"
    )
    expect(entry.locator(".replayed")).to_contain_text('"result":1')
    assert (read_total(cli), read_newest_seq(cli)) == (had, before)


def test_operator_deposits_appear(demo: DemoProcess, demo_page: Page) -> None:
    """A deposit by command appears without a reload. It has no provider's call, so it cannot be replayed."""
    cli = demo.cli
    seq = cli("deposit", "alice", "12.34")["seq"]
    entry = demo_page.locator(f"#entry-{seq}")
    expect(entry).to_contain_text("+12.34")
    expect(demo_page.locator("#purse")).to_have_text(f"{format_cents(read_total(cli))} USD")
    entry.locator("summary").click()
    expect(entry).to_contain_text("without a provider call")
    expect(entry.get_by_role("button", name="Replay")).to_have_count(0)


def test_another_player_has_another_ledger(demo: DemoProcess, demo_page: Page) -> None:
    """Balance, currency and feed are those of the other player."""
    cli = demo.cli
    demo_page.get_by_label("Player").select_option("carol")
    expect(demo_page.locator("#purse")).to_have_text(f"{format_cents(read_total(cli, 'carol'))} EUR")
    expect(demo_page.locator(f"#entry-{read_newest_seq(cli, 'carol')}")).to_be_visible()
    expect(demo_page.locator(f"#entry-{read_newest_seq(cli)}")).to_have_count(0)
    before = read_newest_seq(cli, "carol")
    expect(demo_page.locator(".live .on")).to_be_visible()
    play_round(demo_page)
    made = read_entries_since(cli, before, "carol")
    expect(demo_page.locator(f"#entry-{made[-1]['seq']}")).to_be_visible()
    expect(demo_page.locator("#outcome")).to_contain_text("EUR")


def test_a_refused_player_sees_the_reason(demo: DemoProcess, demo_page: Page) -> None:
    """The reason is the wallet's message, which the provider passes on."""
    demo_page.get_by_label("Player").select_option("bob")
    demo_page.locator("label:has(#protocol-vela)").click()
    demo.cli("player", "block", "bob")
    try:
        play_round(demo_page)
        expect(demo_page.locator("#outcome")).to_contain_text("Player blocked")
        demo_page.locator("label:has(#protocol-wallet-v2)").click()
        play_round(demo_page)
        expect(demo_page.locator("#story")).to_contain_text("Refused: player blocked (104)")
        expect(demo_page.locator("#outcome")).to_contain_text("No money moved")
    finally:
        demo.cli("player", "unblock", "bob")


def test_it_can_be_played_with_the_keyboard_alone(demo: DemoProcess, demo_page: Page) -> None:
    """Arrow keys choose game, protocol and bet, Enter plays a round, and the focus stays."""
    before = read_newest_seq(demo.cli)

    def go_to(selector: str) -> None:
        for _ in range(40):
            if demo_page.locator(f"{selector}:focus").count():
                return
            demo_page.keyboard.press("Tab")
        raise AssertionError(f"Tab does not lead to {selector}")

    go_to("#game-slot")
    demo_page.keyboard.press("ArrowLeft")
    expect(demo_page.locator(".ring")).to_be_visible()
    go_to("#choice-small")
    demo_page.keyboard.press("ArrowRight")
    expect(demo_page.locator("#choice-big")).to_be_checked()
    go_to("#spin")
    demo_page.keyboard.press("Enter")
    expect(demo_page.locator("#outcome")).to_contain_text("you bet on big")
    expect(demo_page.locator("#spin")).to_be_focused()
    go_to("#protocol-wallet-v2")
    demo_page.keyboard.press("ArrowLeft")
    go_to("#trick-win-twice")
    demo_page.keyboard.press("Enter")
    expect(demo_page.locator("#story")).to_contain_text("vela, Zodiac Table")
    expect(demo_page.locator("#trick-win-twice")).to_be_focused()
    wait_for_ledger(demo_page)
    go_to(".entry:first-child summary")
    demo_page.keyboard.press("Enter")
    expect(demo_page.locator(".entry:first-child .letters")).to_contain_text("access_token=TOKEN")
    assert len(read_entries_since(demo.cli, before)) == 4


def test_it_fits_a_phone(demo: DemoProcess, visitor: Visitor) -> None:
    """In all games, with an open entry and a report, nothing is cut off, and axe finds no violation."""
    phone = open_demo_page(demo, visitor.open(PHONE))
    for _, game in GAMES_BY_PROTOCOL[:3]:
        choose_game(phone, "vela", game)
        play_round(phone)
        assert_fits(phone)
    play_round(phone, "#trick-lost-reply")
    expect(phone.locator("#story .rule")).to_be_in_viewport()
    wait_for_ledger(phone)
    phone.locator(".entry summary").first.click()
    phone.get_by_role("button", name="Replay this call").click()
    expect(phone.locator(".replayed .verdict")).to_be_visible()
    assert_fits(phone)
    assert_accessible(phone)


def test_the_page_is_accessible(demo: DemoProcess, visitor: Visitor) -> None:
    """This holds on a desktop, in light and dark mode, in every game."""
    desk = open_demo_page(demo, visitor.open())
    assert_accessible(desk)
    for protocol, game in GAMES_BY_PROTOCOL[:3]:
        choose_game(desk, protocol, game)
        for button in ("#spin", "#trick-win-twice", "#trick-cancel-first"):
            play_round(desk, button)
            assert_fits(desk)
        assert_accessible(desk)
    wait_for_ledger(desk)
    desk.locator(".entry summary").first.click()
    desk.get_by_role("button", name="Replay this call").click()
    expect(desk.locator(".replayed .verdict")).to_be_visible()
    assert_accessible(desk)


def test_the_page_is_small(demo: DemoProcess, page: Page) -> None:
    """The page loads less than 100 KB."""
    assert measure_first_paint_bytes(page, demo.page_url) < 100_000


def test_a_reconnected_feed_misses_nothing(demo: DemoProcess, demo_page: Page) -> None:
    """Entries from during the interruption appear after it."""
    demo_page.context.set_offline(True)
    seq = demo.cli("deposit", "alice", "1.00")["seq"]
    demo_page.context.set_offline(False)
    expect(demo_page.locator(f"#entry-{seq}")).to_be_visible()


def test_foreign_hosts_and_origins_are_rejected(demo: DemoProcess) -> None:
    """A foreign host name that leads here, and a form of another site, are rejected."""
    for host, status in (
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("192.0.2.1", 403),
        ("localhost:8000", 200),
    ):
        assert httpx2.get(demo.page_url, headers={"host": host}, trust_env=False).status_code == status
    wanted = {"player": "alice", "game": "slot", "protocol": "vela", "stake": "1.00"}
    before = read_newest_seq(demo.cli)
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "http://evil.example"}, {"origin": "null"}):
        answer = httpx2.post(f"{demo.page_url}/play", data=wanted, headers=headers, trust_env=False)
        assert answer.status_code == 403
    assert read_newest_seq(demo.cli) == before


@pytest.mark.parametrize(
    "path",
    [
        "?player=nobody",
        "?game=roulette",
        "?protocol=other",
        "/money?player=lisa",
        "/feed",
        "/entries/9999999",
        f"/entries/{2**63}",
    ],
)
def test_unknown_paths_are_404(demo: DemoProcess, path: str) -> None:
    """Paths of players that are not the page's are 404 too."""
    assert httpx2.get(demo.page_url + path, trust_env=False).status_code == 404


def test_entries_of_others_are_not_shown(demo: DemoProcess) -> None:
    """Entries of other players are visible in the command line only."""
    seq = demo.cli("deposit", "lisa", "1.00", "--agent", "lab")["seq"]
    assert httpx2.get(f"{demo.page_url}/entries/{seq}", trust_env=False).status_code == 404
    assert httpx2.post(f"{demo.page_url}/entries/{seq}/replay", trust_env=False).status_code == 404


def test_only_the_demo_serves_the_page(server: Server) -> None:
    """A wallet for real players has no demo page."""
    assert server.http.get("/demo").status_code == 404
