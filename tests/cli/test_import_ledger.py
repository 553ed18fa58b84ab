"""`minwallet import`."""

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from minwallet.cli import export
from minwallet.ledger.audit import AccountRef
from minwallet.ledger.entries import Entry, compute_genesis_hash, hash_entry
from tests.cli.cli_assertions import assert_error_line, assert_unchanged
from tests.support import CommandResult, InProcessCli, running_server

pytestmark = pytest.mark.long


INVALID_ENTRY_FIELDS: list[tuple[str, object]] = [
    ("agent", "a b"),
    ("agent", "."),
    ("player_id", "ann bob"),
    ("player_id", "x" * 41),
    ("currency", "usd"),
    ("seq", -1),
    ("at_ms", 9_000_000_000_000_000_000),
    ("at_ms", 253_402_300_800_000),
    ("at_ms", -1),
    ("previous_seq", -1),
    ("kind", "gift"),
    ("kind", "deposit"),
    ("protocol", ""),
    ("protocol", 'a"b'),
    ("protocol", "x" * 65),
    ("id", ""),
    ("id", "x" * 256),
    ("id", "a\nb"),
    ("round", ""),
    ("round", "x" * 256),
    ("reference", "1"),
    ("id_scope", "agent"),
    ("id_scope", "wallet"),
    ("game", "x" * 256),
    ("game", "a\nb"),
    ("game", ""),
    ("detail", "no JSON"),
    ("detail", "[]"),
    ("detail", '{"a": {}'),
    ("stake", -1),
    ("stake", 2**63),
    ("payout", 2**63),
    ("amount", -(2**63)),
    ("bonus_amount", 2**63),
    ("cash_after", -1),
    ("bonus_after", 2**63 - 1),
    ("state", "gone"),
    ("refusal", "because"),
    ("refusal", "insufficient_funds"),
    ("hash", "zz"),
]
"""Values that the first bet of the exported ledger cannot have."""

INVALID_ACCOUNT_FIELDS: list[tuple[str, object]] = [
    ("agent", ""),
    ("player_id", "\u00e4"),
    ("currency", "US"),
    ("status", "gone"),
    ("created_at_ms", 253_402_300_800_000),
    ("cash", -1),
    ("bonus", 2**63 - 1),
    ("head", "00"),
    ("last_seq", -1),
]


def rehash(lines: list[dict[str, Any]]) -> None:
    """Give the exported entries correct hashes, as somebody could who writes a ledger."""
    heads: dict[AccountRef, bytes] = {}
    for line in lines:
        owner = AccountRef(line["agent"], line["player_id"], line["currency"])
        names = [name for name in Entry._fields if name not in ("account_id", "hash")]
        fields = [line.get(name) for name in names]
        fields.insert(2, 0)
        heads[owner] = hash_entry(fields, heads.get(owner, compute_genesis_hash(*owner)))
        if len(line["hash"]) == 64:
            line["hash"] = heads[owner].hex()


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minwallet.cli.import_ledger.PAGE_SIZE", 3)


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> InProcessCli:
    """Return the command line on a wallet with entries of every kind in both protocols."""
    cli = InProcessCli(tmp_path_factory.mktemp("old") / "old.db")
    name = cli.add_player(balance="100", bonus="5")
    cli("player", "add", name, "--currency", "EUR", "--balance", "7")
    cli("agent", "add", "second")
    cli("player", "add", "other", "--agent", "second", "--currency", "USD")
    cli("withdraw", name, "1", "--currency", "EUR", "--reference", 'a "reason", of sorts')
    cli("adjust", name, "-0.50", "--currency", "EUR", "--reason", "a fee, of sorts")
    usd, eur = (cli.open_session(name, "--currency", each) for each in ("USD", "EUR"))
    with running_server(cli.db) as server:
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
    cli("player", "block", name)
    return cli


@pytest.fixture(scope="module")
def exported(cli: InProcessCli, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the files of the exported ledger and its players."""
    return export_files(cli, tmp_path_factory.mktemp("exported"), "jsonl")


def export_files(cli: InProcessCli, folder: Path, form: str = "csv") -> tuple[Path, Path]:
    files = folder / f"{cli.db.stem}-ledger.{form}", folder / f"{cli.db.stem}-players.{form}"
    for what, file in zip(("ledger", "players"), files, strict=True):
        assert cli.run("export", what, file, "--format", form).code == 0
    return files


def _assert_refused(result: CommandResult, *words: str) -> None:
    assert (result.code, result.out) == (1, ""), result
    assert "nothing was imported" in result.err
    for word in words:
        assert word in result.err, result.err


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_import_restores_an_export(cli: InProcessCli, tmp_path: Path, form: str) -> None:
    """Rows, balances and heads are the same, so a second export is equal byte for byte."""
    files = export_files(cli, tmp_path, form)
    new = InProcessCli(tmp_path / "new.db")
    done = new("import", *files)
    assert done == {"file": str(new.db), "entries": 16, "accounts": 3}
    new.assert_ledger_valid()
    for old, again in zip(files, export_files(new, tmp_path, form), strict=True):
        assert old.read_bytes() == again.read_bytes()


def test_imported_ids_keep_their_meaning(cli: InProcessCli, tmp_path: Path) -> None:
    """A repeated bet is a retry, a cancelled bet stays cancelled, and a new bet is accepted."""
    (name,) = (each["player_id"] for each in cli("player", "list")["players"] if each["agent"] == "default")
    new = InProcessCli(tmp_path / "new.db")
    new("import", *export_files(cli, tmp_path))
    before = new.read_balances(name)
    new("player", "unblock", name)
    token = new.open_session(name, "--currency", "USD")
    with running_server(new.db) as server:
        assert server.wallet_v2(type="bet", bet=200, id=1, game=7, code=token)["result"] == 1
        assert server.wallet_v2(type="bet", bet=200, id=3, game=7, code=token)["result"] == 0
        assert new.read_balances(name) == before
        assert server.vela("refund", access_token=token, ticket_id=10)["status_code"] == 0
        assert (
            server.vela("result", access_token=token, ticket_id=9, total_win=70, game_code="fish")["status_code"] == 0
        )
        assert new.read_balances(name) == before
        assert server.wallet_v2(type="bet", bet=200, id=5, game=7, code=token)["result"] == 1
    new.assert_ledger_valid()


def to_older_version(ledger: Path) -> None:
    """Remove the columns that older versions did not have."""
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    kept = [{name: line[name] for name in export.OLDER_LEDGER_COLUMNS} for line in lines]
    ledger.write_text("\n".join(map(json.dumps, kept)))


def test_an_export_of_an_older_version_is_imported(cli: InProcessCli, tmp_path: Path) -> None:
    """The installed protocols say where their ids are unique, so the new export has all columns."""
    ledger, players = export_files(cli, tmp_path, "jsonl")
    expected = ledger.read_text()
    to_older_version(ledger)
    new = InProcessCli(tmp_path / "new.db")
    assert new("import", ledger, players)["entries"] == 16
    assert export_files(new, tmp_path, "jsonl")[0].read_text() == expected


@pytest.mark.parametrize(
    ("field", "value"), [("amount", 1), ("at_ms", 1), ("hash", "00" * 32), ("id", "99"), ("previous_seq", 99)]
)
def test_a_ledger_that_was_changed_is_refused(cli: InProcessCli, tmp_path: Path, field: str, value: object) -> None:
    """The error names the entry, and nothing is imported."""
    ledger, players = export_files(cli, tmp_path, "jsonl")
    lines = ledger.read_text().splitlines()
    lines[4] = json.dumps(json.loads(lines[4]) | {field: value})
    ledger.write_text("\n".join(lines))
    new = InProcessCli(tmp_path / "new.db")
    _assert_refused(new.run("import", ledger, players), "the hash chain breaks here")
    assert not new.db.exists()


def test_a_ledger_without_its_end_is_refused(cli: InProcessCli, tmp_path: Path) -> None:
    """The heads of the players show the missing end, and the entries show a missing player."""
    ledger, players = export_files(cli, tmp_path, "jsonl")
    whole, everybody = ledger.read_text(), players.read_text()
    ledger.write_text("\n".join(whole.splitlines()[:-1]))
    new = InProcessCli(tmp_path / "new.db")
    _assert_refused(new.run("import", ledger, players), "do not end where the player's account does")
    ledger.write_text(whole)
    players.write_text("\n".join(everybody.splitlines()[1:]))
    _assert_refused(new.run("import", ledger, players), "is not among the players")
    players.write_text(everybody + everybody)
    _assert_refused(new.run("import", ledger, players), "has an account twice")


def test_only_an_empty_wallet_is_filled(cli: InProcessCli, tmp_path: Path) -> None:
    """Agents that exist keep their tokens and URLs."""
    files = export_files(cli, tmp_path)
    _assert_refused(cli.run("import", *files), "has players already", "--db")
    new = InProcessCli(tmp_path / "new.db")
    new("agent", "add", "second", "--wallet-token", "mine")
    assert "16 entries of 3 accounts" in new.run("import", *files).out
    assert new("agent", "show", "second")["wallet_token"] == "mine"
    with running_server(new.db):
        assert_error_line(new.run("import", *files), 3, "is served by process")


def test_agents_whose_tokens_would_be_the_same_are_named(tmp_path: Path) -> None:
    """The error says what to do."""
    old, new = InProcessCli(tmp_path / "old.db"), InProcessCli(tmp_path / "new.db")
    for agent, token in (("a-b.c", "one"), ("a_b_c", "two")):
        old("agent", "add", agent, "--wallet-token", token)
        old("player", "add", "x", "--agent", agent, "--currency", "USD")
    files = export_files(old, tmp_path)
    _assert_refused(new.run("import", *files), "minwallet agent add a_b_c --wallet-token")
    new("agent", "add", "a_b_c", "--wallet-token", "two")
    players = files[1].read_text()
    files[1].write_text(f"\ufeff{players}")
    assert new("import", *files)["accounts"] == 2
    files[1].write_text(players.splitlines()[0])
    _assert_refused(InProcessCli(tmp_path / "empty.db").run("import", *files), "has no players")


@pytest.mark.parametrize(
    ("subject", "field", "value"),
    [
        *(("ledger", name, value) for name, value in INVALID_ENTRY_FIELDS),
        *(("players", name, value) for name, value in INVALID_ACCOUNT_FIELDS),
    ],
)
def test_a_field_that_no_request_could_have_created_is_refused(
    exported: tuple[Path, Path], tmp_path: Path, subject: str, field: str, value: object
) -> None:
    """The error names the line and the field. The hashes are correct, so only the shapes can be wrong."""
    files = [Path(shutil.copy(file, tmp_path)) for file in exported]
    file = files[0] if subject == "ledger" else files[1]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    number = 5 if subject == "ledger" else 1
    lines[number - 1][field] = value
    if subject == "ledger":
        rehash(lines)
    file.write_text("\n".join(map(json.dumps, lines)))
    new = InProcessCli(tmp_path / "new.db")
    assert_error_line(new.run("import", *files), 2, f"line {number}: invalid {field}")
    assert not new.db.exists()


@pytest.mark.parametrize("seqs", [[1, 2, 4], [2], [1, 1], [1, 3, 2]])
def test_entries_are_numbered_without_gaps(cli: InProcessCli, tmp_path: Path, seqs: list[int]) -> None:
    """A wallet with a gap in the numbers would not start, even if all hashes are correct."""
    ledger, players = export_files(cli, tmp_path, "jsonl")
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    for line, seq in zip(lines, seqs, strict=False):
        line["seq"] = seq
    rehash(lines)
    ledger.write_text("\n".join(map(json.dumps, lines)))
    new = InProcessCli(tmp_path / "new.db")
    first_wrong = next(number for number, seq in enumerate(seqs, 1) if seq != number)
    assert_error_line(new.run("import", ledger, players), 2, f"line {first_wrong}: invalid seq {seqs[first_wrong - 1]}")
    assert not new.db.exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected exactly the fields"),
        ("a,b\n1,2\n", "expected exactly the fields agent, player_id"),
        ('{"agent": 1}\n', "expected exactly the fields agent, player_id"),
        ('{"agent": \n', "line 1: "),
        (
            f"{','.join(export.LEDGER_COLUMNS)}\n{','.join('x' * 1 for _ in export.LEDGER_COLUMNS)}\n",
            "line 2: invalid seq 'x': must be an integer",
        ),
        (f"{','.join(export.LEDGER_COLUMNS)}\nx\n", "line 2: 1 fields; the first line names"),
    ],
)
def test_an_invalid_export_is_refused(cli: InProcessCli, tmp_path: Path, text: str, words: str) -> None:
    """The error names the line, and no wallet file is created."""
    ledger, players = export_files(cli, tmp_path)
    ledger, players = (ledger, players) if text else (players, ledger)
    if text:
        ledger.write_text(text)
    new = InProcessCli(tmp_path / "new.db")
    with assert_unchanged(tmp_path):
        assert_error_line(new.run("import", ledger, players), 2, words)
        assert_error_line(new.run("import", tmp_path / "none", players), 2, "cannot read" if text else words)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_negative_zero_is_refused(cli: InProcessCli, tmp_path: Path, form: str) -> None:
    """The error names the line and the field. No export has such a number."""
    ledger, players = export_files(cli, tmp_path, form)
    lines = ledger.read_text().splitlines()
    if form == "csv":
        position = list(export.LEDGER_COLUMNS).index("payout")
        cells = lines[1].split(",")
        assert cells[position] == "0"
        lines[1] = ",".join([*cells[:position], "-0", *cells[position + 1 :]])
    else:
        lines[1] = lines[1].replace('"payout": 0', '"payout": -0').replace('"payout":0', '"payout":-0')
    ledger.write_text("\n".join(lines))
    new = InProcessCli(tmp_path / "new.db")
    assert_error_line(new.run("import", ledger, players), 2, "line 2: invalid payout '-0': must be an integer")
    assert not new.db.exists()


@pytest.mark.parametrize(
    ("convert", "words"),
    [
        (lambda text: text.encode("utf-16"), ": the first bytes are those of UTF-16 text"),
        (lambda text: text.encode("utf-16-be"), ", line 1, byte 1: NUL is not text"),
        (lambda text: gzip.compress(text.encode()), ": the first bytes are those of a gzip file"),
        (lambda text: text.encode() + b"\xe9", ", byte 1: 0xe9 is not UTF-8"),
    ],
    ids=["UTF-16", "UTF-16 without a mark", "gzip", "Windows-1252 in the last line"],
)
def test_a_file_that_is_not_utf_8_is_not_reported_as_a_damaged_wallet(
    cli: InProcessCli, tmp_path: Path, convert: Callable[[str], bytes], words: str
) -> None:
    """One line names the file and the byte. No wallet file is created."""
    files = export_files(cli, tmp_path)
    new = InProcessCli(tmp_path / "new.db")
    for file in files:
        content = file.read_text()
        file.write_bytes(convert(content))
        with assert_unchanged(tmp_path):
            assert_error_line(new.run("import", *files), 2, f"cannot read '{file}'", words)
        file.write_text(content)
