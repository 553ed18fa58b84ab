"""Limits and exclusions on the player's page."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Page, expect

from tests.support import Server
from tests.web.backoffice.admin_client import (
    AdminClient,
    create_player,
    open_session,
    read_field,
    read_flash,
    read_table_rows,
    sign_in,
)

TIME_PATTERN = r"\d{4}-\d\d-\d\d \d\d:\d\d UTC"


def player_path(name: str) -> str:
    return f"/admin/players/default/{name}"


def date_in_days(days: int) -> str:
    return str((datetime.now(UTC) + timedelta(days=days)).date())


def test_a_limit_is_set_and_shown(server: Server, admin_client: AdminClient) -> None:
    """The page shows its usage and its next value. The first limit takes effect immediately, a higher one after a
    day."""
    name = server.cli.add_player()
    path = player_path(name)
    assert "Maximum</th>" not in admin_client.get_page(path)
    fields = {"kind": "deposit", "per": "day", "currency": "USD"}
    told = admin_client.flash_after(f"{path}/limits", **fields, amount="150")
    assert told == f"{name} may deposit up to 150.00 USD a day."
    assert ["Deposits a day", "150.00 USD", "100.00 USD", "50.00 USD", ""] in read_table_rows(
        admin_client.get_page(path)
    )
    told = admin_client.flash_after(f"{path}/limits", **fields, amount="1000.50")
    assert re.fullmatch(
        f"{name} may deposit up to 150.00 USD a day; from {TIME_PATTERN} on up to 1,000.50 USD a day.", told
    )
    told = admin_client.flash_after(f"{path}/limits", kind="loss", per="month", amount="0")
    assert told == f"{name} may lose up to 0.00 USD in 30 days."
    told = admin_client.flash_after(f"{path}/limits", kind="loss", per="month", amount="")
    assert re.fullmatch(
        f"{name} may lose up to 0.00 USD in 30 days; from {TIME_PATTERN} on any amount of USD in 30 days.", told
    )
    told = admin_client.flash_after(f"{path}/limits", kind="loss", per="week", amount="")
    assert told == f"{name} may lose any amount of USD in 7 days."
    rows = read_table_rows(admin_client.get_page(path))
    assert re.fullmatch(r"1,000.50 USD from .+ UTC", rows[0][4])
    assert re.fullmatch(r"no limit from .+ UTC", rows[1][4])
    (account,) = server.cli("limit", "list", name)["accounts"]
    assert [each["next_amount"] for each in account["limits"]] == [100_050, None]
    record = admin_client.get_page("/admin/access/audit-log")
    assert "set a limit of" in record
    assert "kind loss, per month, amount 0.00" in record


def test_a_deposit_beyond_the_limit_is_refused_in_words(server: Server, admin_client: AdminClient) -> None:
    """The entered values stay."""
    name = server.cli.add_player()
    server.cli("limit", "set", name, "deposit", "week", "101")
    fields = {"operation": "deposit", "part": "cash", "amount": "1.01", "currency": "USD", "reference": f"{name} much"}
    refused = admin_client.submit(f"{player_path(name)}/money", **fields)
    assert refused.status_code == 422
    assert "101.00 USD in 7 days, 100.00 of it is used; deposit at most 1.00 now" in read_flash(refused.text)
    assert read_field(refused.text, "amount") == "1.01"
    server.cli("player", "exclude", name, "--until", date_in_days(9))
    refused = admin_client.submit(f"{player_path(name)}/money", **{**fields, "amount": "1"})
    assert f"is excluded until {date_in_days(9)} 00:00 UTC" in read_flash(refused.text)
    assert server.cli.read_balances(name) == (10_000, 0)


def test_a_player_is_excluded_until_a_day(server: Server, admin_client: AdminClient) -> None:
    """A page asks for a confirmation first. The exclusion is shown immediately, and its early end takes effect after a
    day."""
    name, day = server.cli.add_player(), date_in_days(30)
    path = player_path(name)
    assert ">excluded<" not in admin_client.get_page(path)
    assert "End the exclusion" not in admin_client.get_page(path)
    asked = admin_client.submit(f"{path}/exclusion", until=day)
    assert asked.status_code == 200
    assert "this cannot be shortened for 24 hours" in asked.text
    assert ">excluded<" not in admin_client.get_page(path)
    sure = {"until": read_field(asked.text, "until"), "sure": read_field(asked.text, "sure")}
    assert admin_client.flash_after(f"{path}/exclusion", **sure) == f"{name} is excluded until {day} 00:00 UTC."
    ((_, status, end, *_),) = read_table_rows(admin_client.get_page(f"/admin/players?q={name}"))
    assert (status, end) == ("excluded", f"{day} 00:00:00 UTC")
    page = admin_client.get_page(path)
    assert re.search(r'<h1>.*<span class="badge blocked">excluded</span></h1>', page)
    assert server.vela("authenticate", access_token=server.cli.open_session(name))["message"] == "Player blocked"
    asked = admin_client.submit(f"{path}/exclusion", until=date_in_days(3))
    assert "it applies after 24 hours" in asked.text
    told = admin_client.flash_after(f"{path}/exclusion", until=date_in_days(3), sure="yes")
    shorter = f"only until {date_in_days(3)} 00:00 UTC"
    assert re.fullmatch(f"{name} is excluded until {day} 00:00 UTC; from {TIME_PATTERN} on {shorter}.", told)
    told = admin_client.flash_after(f"{path}/exclusion", end="yes")
    assert re.fullmatch(f"{name} is excluded until {day} 00:00 UTC; from {TIME_PATTERN} on no longer.", told)
    other = server.cli.add_player()
    assert admin_client.flash_after(f"{player_path(other)}/exclusion", end="yes") == f"{other} is not excluded."


@pytest.mark.parametrize(
    ("form", "typed", "said"),
    [
        ("limits", {"amount": "1,5"}, ": write it like 12 or 12.50."),
        ("limits", {"amount": "1", "currency": "EUR"}, "has no account in EUR."),
        ("exclusion", {"until": "soon"}, "Use a date such as 2027-01-31."),
        ("exclusion", {"until": ""}, "Use a date such as 2027-01-31."),
        ("exclusion", {"until": "2020-01-31"}, "expected a time in the future"),
        ("exclusion", {"until": "9999-01-31"}, "within 100 years"),
    ],
)
def test_invalid_limits_are_reported_and_change_nothing(
    server: Server, admin_client: AdminClient, form: str, typed: dict[str, str], said: str
) -> None:
    """The page shows the entered values."""
    name = server.cli.add_player()
    before = server.cli("limit", "list", name)
    fields = {"kind": "loss", "per": "day", "currency": "USD"} if form == "limits" else {}
    refused = admin_client.submit(f"{player_path(name)}/{form}", **{**fields, **typed})
    assert refused.status_code == 422
    assert said in refused.text
    assert all(value in refused.text for value in typed.values())
    assert server.cli("limit", "list", name) == before


def test_forged_fields_change_nothing(server: Server, admin_client: AdminClient) -> None:
    """Examples are an unknown kind of limit, and a form of another site."""
    name = server.cli.add_player()
    fields = {"kind": "loss", "per": "day", "currency": "USD", "amount": "1"}
    for odd in ({"kind": "win"}, {"per": "year"}):
        assert admin_client.submit(f"{player_path(name)}/limits", **{**fields, **odd}).status_code == 400
    for form in ("limits", "exclusion"):
        forged = admin_client.http.post(
            f"{player_path(name)}/{form}", data={**fields, "until": date_in_days(2), "csrf": "0" * 64}
        )
        assert forged.status_code == 403
    assert server.cli("limit", "list", name)["accounts"] == [{"currency": "USD", "limits": []}]
    server.cli("player", "add", name, "--currency", "EUR")
    refused = admin_client.submit(f"{player_path(name)}/limits", **{**fields, "currency": ""})
    assert refused.status_code == 422
    assert "Choose a currency." in refused.text


def test_limits_in_a_browser(server: Server, page: Page) -> None:
    """The form sets a limit, its usage follows the bets without a reload, and the end of an exclusion needs a
    confirmation."""
    name = create_player(server)
    token = open_session(server, name)
    sign_in(page, server)
    page.goto(f"{server.url}{player_path(name)}")
    page.get_by_label("Limit on").select_option("losses")
    page.get_by_label("Maximum").fill("10")
    page.get_by_role("button", name="Set limit").click()
    expect(page.locator(".flash")).to_contain_text("may lose up to 10.00 USD a day")
    used = page.get_by_role("row", name="Losses a day").get_by_role("cell").nth(2)
    expect(used).to_contain_text("0.00")
    expect(page.locator(".live .on")).to_be_visible()
    server.wallet_v2(type="bet", bet=250, id=2**40, game=1, code=token)
    expect(used).to_contain_text("2.50")
    page.get_by_label("Until the start of").fill(date_in_days(20))
    page.get_by_role("button", name="Exclude…").click()
    page.get_by_role("button", name="Exclude", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("excluded")
    page.get_by_role("button", name="End the exclusion…").click()
    page.get_by_role("dialog").get_by_role("button", name="End the exclusion").click()
    expect(page.locator(".flash")).to_contain_text("no longer")
