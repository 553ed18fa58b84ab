"""Exports of the ledger: their rows equal those of the ledger."""

import csv
import io
import json

import pytest

from tests.support import Server
from tests.web.backoffice.admin_client import AdminClient

AMOUNT_COLUMNS = {"amount", "bonus_amount", "cash_after", "bonus_after", "stake", "payout"}


@pytest.fixture(scope="module")
def player_with_entries(server: Server, admin_client: AdminClient) -> str:
    """Return a player with entries of several kinds."""
    name = server.cli.add_player(balance="100", bonus="5")
    token = server.cli.open_session(name)
    server.wallet_v2(type="bet", bet=10_300, id=2**64 - 1, game="=1+1", code=token)
    server.wallet_v2(type="win", win=700, id=2**64 - 2, round_id=2**64 - 1, game='a,"b"', code=token)
    server.wallet_v2(type="bet", bet=999_999, id=3, game="a;=2", code=token)
    path = f"/admin/players/default/{name}/money"
    admin_client.flash_after(
        path, operation="deposit", part="cash", amount="1.50", currency="USD", reason="@home", reference=f"=cmd {name}"
    )
    return name


def test_csv_equals_the_ledger(server: Server, admin_client: AdminClient, player_with_entries: str) -> None:
    """Rows are newest first, amounts are numbers, and formulas are escaped with an apostrophe."""
    response = admin_client.http.get("/admin/transactions.csv", params={"player": player_with_entries})
    assert response.headers["content-type"].startswith("text/csv")
    assert 'filename="transactions-' in response.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(response.text)))
    expected = server.cli("ledger", player_with_entries)["entries"]
    assert [int(row["seq"]) for row in rows] == [entry["seq"] for entry in expected]
    for row, entry in zip(rows, expected, strict=True):
        for name, value in entry.items():
            if name in AMOUNT_COLUMNS:
                assert round(float(row[name]) * 100) == value
            else:
                assert row[name].replace("'=", "=") == ("" if value is None else str(value))
        assert not any(cell.startswith(("=", "+", "@")) for cell in row.values())
    assert rows[0]["id"] == f"'=cmd {player_with_entries}"
    assert rows[2]["game"] == 'a,"b"'
    assert rows[1]["game"] == "a;'=2"
    assert rows[3]["game"] == "'=1+1"
    assert rows[3]["amount"] == "-100.00"


def test_json_equals_the_ledger_in_cents(server: Server, admin_client: AdminClient, player_with_entries: str) -> None:
    """The fields are those of the command line and the API, with the owner."""
    entries = admin_client.http.get(
        "/admin/transactions.json", params={"player": player_with_entries, "kind": "bet"}
    ).json()["entries"]
    expected = [entry for entry in server.cli("ledger", player_with_entries)["entries"] if entry["kind"] == "bet"]
    assert [{name: entry[name] for name in expected[0]} for entry in entries] == expected
    assert {(entry["agent"], entry["player_id"], entry["currency"]) for entry in entries} == {
        ("default", player_with_entries, "USD")
    }
    assert [entry["refusal"] for entry in entries] == ["insufficient_funds", None]


def test_a_long_export_is_read_in_pages(server: Server, admin_client: AdminClient) -> None:
    """Each row is there once, and a client that disconnects leaves no open page behind."""
    name = server.cli.add_player(balance="100")
    token = server.cli.open_session(name)
    for number in range(1, 2_101):
        server.wallet_v2(type="bet", bet=0, id=10_000 + number, game=7, code=token)
    text = admin_client.http.get("/admin/transactions.csv", params={"player": name}).text
    ids = [row["id"] for row in csv.DictReader(io.StringIO(text))]
    assert ids == [*(str(10_000 + number) for number in range(2_100, 0, -1)), f"{name}:USD"]
    for _ in range(3):
        with admin_client.http.stream("GET", "/admin/transactions.json") as response:
            next(response.iter_bytes())
    assert len(json.loads(admin_client.http.get("/admin/transactions.json?kind=win").text)["entries"]) >= 1
    assert "error" not in server.log.read_text().lower()


def test_an_empty_result_is_an_empty_file(admin_client: AdminClient) -> None:
    """It is a header, or an empty list."""
    assert len(admin_client.http.get("/admin/transactions.csv?player=nobody").text.splitlines()) == 1
    assert admin_client.http.get("/admin/transactions.json?player=nobody").json() == {"entries": []}
    assert admin_client.http.get("/admin/transactions.csv?kind=nonsense").status_code == 400
