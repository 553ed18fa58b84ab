"""Deposits, withdrawals and adjustments: each moves money once, and has an actor and a reason."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support import Server
from tests.web.backoffice.admin_client import AdminClient, create_player, read_field, read_flash, sign_in


@pytest.fixture
def name(server: Server) -> str:
    """Return a player with 100.00 of cash and 5.00 of bonus."""
    return server.cli.add_player(bonus="5")


def player_path(name: str) -> str:
    return f"/admin/players/default/{name}"


def test_a_deposit_records_actor_and_reason(server: Server, admin_client: AdminClient, name: str) -> None:
    """They are in the ledger's entry."""
    fields = {
        "operation": "deposit",
        "part": "cash",
        "amount": "12.5",
        "currency": "USD",
        "reason": "won <a> bet",
        "reference": "r 1",
    }
    assert re.fullmatch(
        r"Deposited 12.50 USD of cash \(entry \d+\).",
        admin_client.flash_after(f"{player_path(name)}/money", **fields),
    )
    assert server.cli.read_balances(name) == (11_250, 500)
    entry = server.cli.read_entries(name)[-1]
    page = admin_client.get_page(f"/admin/transactions/{entry['seq']}")
    assert "admin admin" in page
    assert "won &lt;a&gt; bet" in page
    assert "12.50 USD of cash was deposited" in page


def test_bonus_and_cash_are_separate(server: Server, admin_client: AdminClient, name: str) -> None:
    """Each is deposited and withdrawn separately."""
    fields = {"operation": "deposit", "part": "bonus", "amount": "1", "currency": "USD", "reference": f"{name} in"}
    admin_client.flash_after(f"{player_path(name)}/money", **fields)
    assert server.cli.read_balances(name) == (10_000, 600)
    fields |= {"operation": "withdraw", "amount": "6", "reference": f"{name} out", "sure": "yes"}
    admin_client.flash_after(f"{player_path(name)}/money", **fields)
    assert server.cli.read_balances(name) == (10_000, 0)


@pytest.mark.parametrize(
    ("odd", "status"),
    [
        ({"operation": "x"}, 400),
        ({"part": "x"}, 400),
        ({"currency": "XXX"}, 422),
        ({"operation": "withdraw", "currency": "XXX"}, 422),
    ],
)
def test_forged_fields_move_no_money(
    server: Server, admin_client: AdminClient, name: str, odd: dict[str, str], status: int
) -> None:
    """No value is guessed."""
    fields = {
        "operation": "deposit",
        "part": "cash",
        "amount": "1",
        "currency": "USD",
        "reference": f"odd {odd}",
        **odd,
    }
    assert admin_client.submit(f"{player_path(name)}/money", **fields).status_code == status
    assert admin_client.submit(f"{player_path(name)}/status", status="nonsense").status_code == 400
    assert server.cli.read_balances(name) == (10_000, 500)
    assert server.cli("player", "show", name)["status"] == "active"


def test_the_same_form_twice_moves_money_once(server: Server, admin_client: AdminClient, name: str) -> None:
    """A double click causes no second deposit; another amount with the same reference is refused."""
    reference = read_field(admin_client.get_page(player_path(name)), "reference")
    fields = {
        "operation": "deposit",
        "part": "cash",
        "amount": "7",
        "currency": "USD",
        "reason": "",
        "reference": reference,
    }
    first, second = (admin_client.flash_after(f"{player_path(name)}/money", **fields) for _ in range(2))
    seq = server.cli.read_entries(name)[-1]["seq"]
    assert first == f"Deposited 7.00 USD of cash (entry {seq})."
    assert second == f"This reference was already used by entry {seq}. No money was moved now."
    assert server.cli.read_balances(name) == (10_700, 500)
    refused = admin_client.submit(f"{player_path(name)}/money", **{**fields, "amount": "8"})
    assert refused.status_code == 422
    assert "already used for another transfer" in read_flash(refused.text)
    assert server.cli.read_balances(name) == (10_700, 500)
    assert read_field(admin_client.get_page(player_path(name)), "reference") != reference


@pytest.mark.parametrize(("operation", "amount"), [("withdraw", "0.01"), ("deposit", "1000")])
def test_large_deposits_and_withdrawals_need_confirmation(
    server: Server, admin_client: AdminClient, name: str, operation: str, amount: str
) -> None:
    """The confirmation shows the balances before and after, and changes nothing."""
    fields = {
        "operation": operation,
        "part": "cash",
        "amount": amount,
        "currency": "USD",
        "reason": "why not",
        "reference": f"{name} ask",
    }
    question = admin_client.submit(f"{player_path(name)}/money", **fields)
    assert question.status_code == 200
    assert "100.00" in question.text
    assert ("1,100.00" if operation == "deposit" else "99.99") in question.text
    assert server.cli.read_balances(name) == (10_000, 500)
    again = {name: read_field(question.text, name) for name in (*fields, "sure")}
    admin_client.flash_after(f"{player_path(name)}/money", **again)
    assert server.cli.read_balances(name) == ((110_000 if operation == "deposit" else 9_999), 500)
    assert '"why not"' not in admin_client.get_page(player_path(name))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"amount": "1.234"}, "Invalid amount"),
        ({"amount": "-1"}, "Invalid amount"),
        ({"amount": ""}, "It must be more than 0"),
        ({"amount": "0"}, "It must be more than 0"),
        ({"reference": ""}, "It must be 1 to 64 printable"),
        ({"reason": "x" * 201}, "It must be up to 200 characters"),
        ({"currency": "EUR"}, "has no account in EUR"),
        ({"operation": "withdraw", "amount": "100.01", "sure": "yes"}, "has only 100.00 USD of cash"),
        ({"operation": "withdraw", "part": "bonus", "amount": "5.01", "sure": "yes"}, "has only 5.00 USD of bonus"),
        ({"amount": "92233720368547758.07", "sure": "yes"}, "balance would exceed"),
    ],
)
def test_invalid_transfers_are_reported_and_kept_in_the_form(
    server: Server, admin_client: AdminClient, name: str, fields: dict[str, str], said: str
) -> None:
    """The page shows the entered values and an error, and no money moves."""
    typed = {"amount": "1", "reason": "because & so", "reference": f"{name} odd"} | fields
    response = admin_client.submit(
        f"{player_path(name)}/money", **{"operation": "deposit", "part": "cash", "currency": "USD", **typed}
    )
    assert response.status_code == 422
    assert said in response.text
    assert 'role="alert"' in response.text
    for each in ("amount", "reason", "reference"):
        assert read_field(response.text, each) == typed[each]
    assert server.cli.read_balances(name) == (10_000, 500)


def test_an_adjustment_needs_confirmation_and_a_reason(server: Server, admin_client: AdminClient, name: str) -> None:
    """It corrects the balance of an excluded and blocked player, up or down, and is shown with its reason."""
    server.cli("player", "exclude", name, "--until", "2099-01-01")
    server.cli("player", "block", name)
    fields = {"operation": "adjust", "part": "cash", "amount": "-12.5", "currency": "USD", "reference": f"{name} fix"}
    fields |= {"reason": "paid <twice>"}
    question = admin_client.submit(f"{player_path(name)}/money", **fields)
    assert f"Adjust the balance of {name}?" in question.text
    assert "\N{MINUS SIGN}12.50" in question.text
    assert "87.50" in question.text
    assert server.cli.read_balances(name) == (10_000, 500)
    again = {field: read_field(question.text, field) for field in (*fields, "sure")}
    flash = admin_client.flash_after(f"{player_path(name)}/money", **again)
    assert re.fullmatch(r"Adjusted by \N{MINUS SIGN}12.50 USD of cash \(entry \d+\).", flash)
    assert server.cli.read_balances(name) == (8_750, 500)
    entry = server.cli.read_entries(name)[-1]
    page = admin_client.get_page(f"/admin/transactions/{entry['seq']}")
    assert "paid &lt;twice&gt;" in page
    assert "12.50 USD of cash was taken from" in page
    assert "adjusted the balance of" in admin_client.get_page("/admin/access")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"amount": "0"}, "It must be between -92233720368547758.07 and"),
        ({"amount": "1.234"}, "Invalid amount"),
        ({"reason": ""}, "It must be 1 to 200 characters"),
        ({"reason": " "}, "It must be 1 to 200 characters"),
        ({"amount": "-100.01", "sure": "yes"}, "has only 100.00 USD of cash"),
        ({"part": "bonus", "amount": "-5.01", "sure": "yes"}, "has only 5.00 USD of bonus"),
        ({"amount": "+92233720368547758.07", "sure": "yes"}, "balance would exceed"),
    ],
)
def test_invalid_adjustments_are_reported_in_their_own_form(
    server: Server, admin_client: AdminClient, name: str, fields: dict[str, str], said: str
) -> None:
    """The form is open and has the entered values, and no money moves."""
    typed = {"part": "cash", "amount": "-1", "currency": "USD", "reason": "because", "reference": f"{name} odd"}
    typed |= fields
    response = admin_client.submit(f"{player_path(name)}/money", operation="adjust", **typed)
    assert response.status_code == 422
    _, form = response.text.split("<details open>")
    assert said in response.text
    assert read_field(form, "amount") == typed["amount"]
    assert server.cli.read_balances(name) == (10_000, 500)


def test_one_of_several_currencies_has_to_be_chosen(server: Server, admin_client: AdminClient, name: str) -> None:
    """Otherwise the money could go to the wrong account."""
    server.cli("player", "add", name, "--currency", "EUR")
    fields = {"operation": "deposit", "part": "cash", "amount": "1", "currency": "", "reference": f"{name} which"}
    for path, more in (("money", fields), ("sessions", {"ttl_s": "900"}), ("launch", {"game": "1", "lang": "en"})):
        response = admin_client.submit(f"{player_path(name)}/{path}", **more)
        assert response.status_code == 422
        assert "Choose a currency." in response.text
    assert server.cli.read_balances(name, "EUR") == (0, 0)


def test_an_unknown_player_is_reported(admin_client: AdminClient) -> None:
    """The page has an error message."""
    assert "unknown player &#39;nobody&#39; (agent default)" in admin_client.get_page(player_path("nobody"), 404)
    assert "unknown agent &#39;nobody&#39;" in admin_client.get_page("/admin/players/nobody/ann", 404)


def test_a_forged_form_moves_no_money(server: Server, admin_client: AdminClient, name: str) -> None:
    """The form has a wrong token or comes from another site."""
    fields = {"operation": "deposit", "amount": "1", "currency": "USD", "reference": f"{name} forged"}
    assert admin_client.http.post(f"{player_path(name)}/money", data={**fields, "csrf": "0" * 64}).status_code == 403
    foreign = {"origin": "https://evil.example"}
    assert (
        admin_client.http.post(
            f"{player_path(name)}/money", data={**fields, "csrf": admin_client.csrf}, headers=foreign
        ).status_code
        == 403
    )
    assert server.cli.read_balances(name) == (10_000, 500)


def test_a_deposit_by_keyboard_alone(server: Server, page: Page) -> None:
    """From the search to the deposit no mouse is needed."""
    name = create_player(server)
    sign_in(page, server)
    page.goto(f"{server.url}/admin/players")

    def go_to(role: str, label: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focused = page.locator(":focus")
            if focused.count() and focused.and_(page.get_by_role(role, name=label)).count():  # type: ignore[arg-type]  # a role is a literal
                return
        raise AssertionError(f"no way to {label}")

    go_to("searchbox", "Part of the id")
    page.keyboard.type(name)
    expect(page.locator("#found tbody tr")).to_have_count(1)
    go_to("link", name)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(name)
    go_to("textbox", "Amount")
    page.keyboard.type("3.25")
    go_to("textbox", "Reason")
    page.keyboard.type("by hand")
    go_to("button", "Deposit")
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_contain_text("Deposited 3.25 USD of cash")
    expect(page.locator(".tile").first).to_contain_text("103.25")
    go_to("textbox", "Amount")
    page.keyboard.type("0.25")
    go_to("button", "Withdraw…")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("103.00")
    page.keyboard.press("Enter")
    expect(page.locator(".flash")).to_contain_text("Withdrew 0.25 USD of cash")
