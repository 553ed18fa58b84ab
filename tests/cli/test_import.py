"""`minwallet import`."""

import json
from pathlib import Path

import pytest

from minwallet.cli import export
from tests.cli.console import assert_complaint, unchanged
from tests.support import Here, Result, serving

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minwallet.cli.importing.PAGE", 3)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    """A wallet in which everything has happened that a ledger can tell of, in both protocols."""
    here = Here(tmp_path_factory.mktemp("old") / "old.db")
    name = here.player(balance="100", bonus="5")
    here("player", "add", name, "--currency", "EUR", "--balance", "7")
    here("agent", "add", "second")
    here("player", "add", "other", "--agent", "second", "--currency", "USD")
    here("withdraw", name, "1", "--currency", "EUR", "--reference", 'a "reason", of sorts')
    usd, eur = (here.session(name, "--currency", each) for each in ("USD", "EUR"))
    with serving(here.db) as server:
        for code in (usd, eur):
            server.wallet_v2(type="bet", bet=200, id=1, game=7, code=code)
            server.wallet_v2(type="win", win=300, id=2, round_id=1, game=7, code=code)
            server.wallet_v2(type="cancel", id=3, code=code)
            server.wallet_v2(type="bet", bet=10_000_000, id=4, game=7, code=code)
        for path in (
            "bet?total_bet=50&game_code=fish&",
            "result?total_win=70&game_code=fish&",
            "bet?total_bet=50&game_code=fish&",
        ):
            server.http.get(f"/api/{path}access_token={usd}&ticket_id=9")
        server.http.get(f"/api/bet?total_bet=50&game_code=fish&access_token={usd}&ticket_id=10")
        server.http.get(f"/api/refund?access_token={usd}&ticket_id=10")
    here("player", "block", name)
    return here


def _export(here: Here, folder: Path, form: str = "csv") -> tuple[Path, Path]:
    files = folder / f"{here.db.stem}-ledger.{form}", folder / f"{here.db.stem}-players.{form}"
    for what, file in zip(("ledger", "players"), files, strict=True):
        assert here.run("export", what, file, "--format", form).code == 0
    return files


def _refused(result: Result, *words: str) -> None:
    assert (result.code, result.out) == (1, ""), result
    assert "nothing was imported" in result.err
    for word in words:
        assert word in result.err, result.err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_was_exported_becomes_a_wallet_again(here: Here, tmp_path: Path, form: str) -> None:
    """With the same rows, balances and ends of the chains: its own export is the same, byte for byte."""
    files = _export(here, tmp_path, form)
    new = Here(tmp_path / "new.db")
    done = new("import", *files)
    assert done == {"file": str(new.db), "entries": 15, "accounts": 3}
    new.assert_clean()
    for old, again in zip(files, _export(new, tmp_path, form), strict=True):
        assert old.read_bytes() == again.read_bytes()


def test_ids_mean_what_they_meant(here: Here, tmp_path: Path) -> None:
    """A bet that comes once more is a retry, a bet that was called off stays so, and a new one is taken."""
    (name,) = (each["player_id"] for each in here("player", "list")["players"] if each["agent"] == "default")
    new = Here(tmp_path / "new.db")
    new("import", *_export(here, tmp_path))
    before = new.account(name)
    new("player", "unblock", name)
    token = new.session(name, "--currency", "USD")
    with serving(new.db) as server:
        assert server.wallet_v2(type="bet", bet=200, id=1, game=7, code=token)["result"] == 1
        assert server.wallet_v2(type="bet", bet=200, id=3, game=7, code=token)["result"] == 0
        assert new.account(name) == before
        assert server.vela("refund", access_token=token, ticket_id=10)["status_code"] == 0
        assert (
            server.vela("result", access_token=token, ticket_id=9, total_win=70, game_code="fish")["status_code"] == 0
        )
        assert new.account(name) == before
        assert server.wallet_v2(type="bet", bet=200, id=5, game=7, code=token)["result"] == 1
    new.assert_clean()


@pytest.mark.parametrize(
    ("field", "value"), [("amount", 1), ("at_ms", 1), ("hash", "00" * 32), ("id", "x"), ("seq", 99)]
)
def test_a_ledger_that_was_changed_is_refused(here: Here, tmp_path: Path, field: str, value: object) -> None:
    """The entry is named, and nothing is imported."""
    ledger, players = _export(here, tmp_path, "jsonl")
    lines = ledger.read_text().splitlines()
    lines[4] = json.dumps(json.loads(lines[4]) | {field: value})
    ledger.write_text("\n".join(lines))
    new = Here(tmp_path / "new.db")
    _refused(new.run("import", ledger, players), "the hash chain breaks here")
    assert not new.db.exists()


def test_a_ledger_without_its_end_is_refused(here: Here, tmp_path: Path) -> None:
    """The players tell where it should end; and where they lack one, his entries tell."""
    ledger, players = _export(here, tmp_path, "jsonl")
    whole, everybody = ledger.read_text(), players.read_text()
    ledger.write_text("\n".join(whole.splitlines()[:-1]))
    new = Here(tmp_path / "new.db")
    _refused(new.run("import", ledger, players), "do not end where the player's account does")
    ledger.write_text(whole)
    players.write_text("\n".join(everybody.splitlines()[1:]))
    _refused(new.run("import", ledger, players), "is not among the players")
    players.write_text(everybody + everybody)
    _refused(new.run("import", ledger, players), "has an account twice")


def test_only_an_empty_wallet_is_filled(here: Here, tmp_path: Path) -> None:
    """Agents that were added before are kept as they are, so their tokens and addresses can be."""
    files = _export(here, tmp_path)
    _refused(here.run("import", *files), "has players already", "--db")
    new = Here(tmp_path / "new.db")
    new("agent", "add", "second", "--wallet-token", "mine")
    assert "15 entries of 3 accounts" in new.run("import", *files).out
    assert new("agent", "show", "second")["wallet_token"] == "mine"
    with serving(new.db):
        assert_complaint(new.run("import", *files), 3, "is served by process")


def test_agents_whose_tokens_would_be_the_same_are_named(tmp_path: Path) -> None:
    """What to do about it is told."""
    old, new = Here(tmp_path / "old.db"), Here(tmp_path / "new.db")
    for agent, token in (("a-b.c", "one"), ("a_b_c", "two")):
        old("agent", "add", agent, "--wallet-token", token)
        old("player", "add", "x", "--agent", agent, "--currency", "USD")
    files = _export(old, tmp_path)
    _refused(new.run("import", *files), "minwallet agent add a_b_c --wallet-token")
    new("agent", "add", "a_b_c", "--wallet-token", "two")
    players = files[1].read_text()
    files[1].write_text(f"\ufeff{players}")
    assert new("import", *files)["accounts"] == 2
    files[1].write_text(players.splitlines()[0])
    _refused(Here(tmp_path / "empty.db").run("import", *files), "has no players")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it should have"),
        ("a,b\n1,2\n", "it should have agent, player_id"),
        ('{"agent": 1}\n', "it should have agent, player_id"),
        ('{"agent": \n', "cannot read what follows line 0"),
        (f"{','.join(export.LEDGER)}\n{','.join('x' * 1 for _ in export.LEDGER)}\n", "seq is no whole number"),
        (f"{','.join(export.LEDGER)}\nx\n", "it has 1 fields"),
    ],
)
def test_what_is_no_export_is_told(here: Here, tmp_path: Path, text: str, words: str) -> None:
    """With the line, and no wallet is made."""
    ledger, players = _export(here, tmp_path)
    ledger, players = (ledger, players) if text else (players, ledger)
    if text:
        ledger.write_text(text)
    new = Here(tmp_path / "new.db")
    with unchanged(tmp_path):
        assert_complaint(new.run("import", ledger, players), 2, words)
        assert_complaint(new.run("import", tmp_path / "none", players), 2, "cannot read")
