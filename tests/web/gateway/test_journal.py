"""The journal: requests and replies verbatim for some days, without tokens."""

import sqlite3
import time
from pathlib import Path

import pytest

from minwallet.ledger.commands import Bet
from minwallet.ledger.outcomes import Applied
from minwallet.ledger.time_units import DAY_MS
from minwallet.storage.models import AccountCommand, JournalRow, NewAccount
from minwallet.storage.sqlite import SqliteStore
from tests.support import TIMEOUT_S, InProcessCli, Server, running_server


def read_journal(cli: InProcessCli, seq: int) -> tuple[str | None, str | None]:
    shown = cli("show", seq)
    return shown["request"], shown["reply"]


def wait_for_journal(cli: InProcessCli, seq: int) -> tuple[str, str]:
    """Return the record of a call. It is written after the reply."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        request, reply = read_journal(cli, seq)
        if request is not None and reply is not None:
            return request, reply
        assert time.monotonic() < deadline, "the call is not recorded"


def test_request_and_reply_are_stored_verbatim(server: Server) -> None:
    """They belong to their entry and differ from the wire only by the token: spaces, order and unknown fields stay."""
    cli = server.cli
    player = cli.add_player("USD", "10")
    token = cli.open_session(player)
    body = f'{{ "type":"bet","bet" : 500, "note":"é", "id":71,"game":"x", "code":"{token}"}}'
    answered = server.http.post("/wallet/default", content=body.encode())
    query = f"ticket_id=72&total_bet=100&unknown=%20&access_token={token}"
    asked = server.http.get(f"/api/bet?{query}")
    _, first, second = cli.read_entries(player)
    assert wait_for_journal(cli, first["seq"]) == (
        f"POST /wallet/default {body.replace(token, 'TOKEN')}",
        answered.text,
    )
    assert wait_for_journal(cli, second["seq"]) == (f"GET /api/bet?{query.replace(token, 'TOKEN')}", asked.text)


def test_a_retry_adds_nothing_and_changes_nothing(server: Server) -> None:
    """The journal has the call that moved the money. A permanent refusal is stored; any other leaves no entry."""
    cli = server.cli
    player = cli.add_player("USD", "10")
    token = cli.open_session(player)
    for _ in range(2):
        server.wallet_v2(type="bet", bet=500, id=81, game=1, code=token)
    server.wallet_v2(type="bet", bet=9000, id=82, game=1, code=token)
    server.wallet_v2(type="bet", bet=1, id=81, game=1, code=token)
    entries = cli.read_entries(player)
    assert [entry["id"] for entry in entries[1:]] == ["81", "82"]
    _, reply = wait_for_journal(cli, entries[2]["seq"])
    assert '"err_code":105' in reply


def test_no_token_is_in_the_file(db: Path) -> None:
    """This holds for every encoding of the token, and for the callback key."""
    with running_server(db, MINWALLET_CALLBACK_KEY="very_secret") as server:
        player = server.cli.add_player("USD", "10")
        token = server.cli.open_session(player)
        escaped = "".join(f"\\u{ord(symbol):04x}" for symbol in token)
        percent = "".join(f"%{ord(symbol):02x}" for symbol in token)
        post, get = server.http.post, server.http.get
        path = "/very_secret/wallet"
        post(path, content=f'{{"type":"bet","bet":1,"id":1,"game":1,"code":"{token}","again":"{token}"}}')
        post(path, content=f'{{"type":"bet","bet":1,"id":2,"game":1,"code":"{escaped}"}}')
        get(f"/very_secret/api/bet?ticket_id=1&total_bet=1&access_token={percent}")
        get(f"/very_secret/api/bet?ticket_id=2&total_bet=1&access%5ftoken={token}&again={token}")
        assert len(server.cli.read_entries(player)) == 5
        server.cli.assert_ledger_valid()
    with sqlite3.connect(db) as opened:
        dump = "\n".join(opened.iterdump())
    opened.close()
    for secret in (token, escaped, percent, "very_secret"):
        assert secret not in dump
        assert secret not in server.log.read_text()
    assert dump.count("TOKEN") == 5


def test_no_journal_is_stored_with_zero_days(db: Path) -> None:
    """Calls are applied as usual."""
    with running_server(db, MINWALLET_JOURNAL_DAYS="0") as server:
        player = server.cli.add_player("USD", "10")
        server.wallet_v2(type="bet", bet=1, id=1, game=1, code=server.cli.open_session(player))
        entries = server.cli.read_entries(player)
        assert read_journal(server.cli, entries[1]["seq"]) == (None, None)
        server.cli.assert_ledger_valid()


@pytest.fixture
async def file_with_old_journal(db: Path, anyio_backend: object) -> Path:
    """Return a wallet file with 1500 journal records that are 31 days old, and 100 that are 29 days old."""
    del anyio_backend
    now_ms = int(time.time() * 1000)
    store = await SqliteStore.open(db, create=True)
    await store.accounts.create_accounts([NewAccount("default", "ann", "USD", 10_000, 0)], now_ms)
    rows: list[JournalRow] = []
    for age, numbers in ((31, range(1500)), (29, range(1500, 1600))):
        for number in numbers:
            bet = AccountCommand(Bet(str(number), 1, str(number)), "wallet-v2", 1)
            (outcome,) = await store.apply([bet], now_ms - age * DAY_MS)
            assert isinstance(outcome, Applied)
            rows.append(JournalRow(outcome.entry.seq, "q", "a"))
    await store.write_journal(rows)
    await store.close()
    return db


def test_old_journal_records_are_pruned(file_with_old_journal: Path) -> None:
    """Pruning runs in the background in several batches. Entries stay and verify, and newer journal records stay."""
    with running_server(file_with_old_journal) as server:
        deadline = time.monotonic() + TIMEOUT_S
        while read_journal(server.cli, 1501) != (None, None):
            assert time.monotonic() < deadline, "nothing is forgotten"
        assert read_journal(server.cli, 1502) == ("q", "a")
        assert read_journal(server.cli, 2) == (None, None)
        server.cli.assert_ledger_valid()
