"""`minwallet protocols`, `minwallet protocol new`, and what `serve` and `doctor` say about packages."""

from pathlib import Path

import pytest

from minwallet.protocols import registry
from minwallet.protocols.protocol_checks import SITE_PATHS
from minwallet.scaffold import render_package
from tests.cli.cli_assertions import assert_error_line, assert_unchanged, split_cells
from tests.protocols.plugins import MINIMAL, add_package, add_project, add_wheel
from tests.support import Cli, InProcessCli, Server, run_minwallet, running_server


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    """Return a folder with a package, a wheel, and a package that cannot be imported."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    add_package(folder, "target")
    add_wheel(folder, "wheel", version="2.1")
    add_package(folder, "broken", "import no_such_module")
    return folder


def test_the_protocols_are_listed_with_version_and_origin(cli: Cli, plugins: Path) -> None:
    """A package that cannot be used is a line with its reason, and the exit code is 0."""
    result = run_minwallet("--db", cli.db, "protocols", MINWALLET_PLUGINS=str(plugins))
    assert (result.code, result.err) == (0, "")
    header, *rows, problem = map(split_cells, result.out.splitlines())
    assert header == ["protocol", "version", "package", "signed", "parts", "operations", "place"]
    others = [[each.protocol, each.version, each.distribution] for each, _ in registry.list_installed()]
    added = [["target", "1.0", "minwallet-target"], ["wheel", "2.1", "minwallet-wheel"]]
    assert [row[:3] for row in rows] == sorted(others + added)
    places = {row[0]: row[-1] for row in rows}
    assert places["wheel"] == f"{plugins}/minwallet_wheel-2.1-py3-none-any.whl"
    assert " ".join(problem).startswith(f"protocol 'broken' of minwallet-broken 1.0 in {plugins} is not used: ")


def test_the_document_has_the_same(cli: Cli, plugins: Path) -> None:
    """A script finds the broken ones by `is_usable`."""
    result = run_minwallet("--db", cli.db, "protocols", "--json", MINWALLET_PLUGINS=str(plugins))
    found = {each["name"]: each for each in result.json["protocols"]}
    assert found["vela"]["parts"] == ["demo", "conformance", "service"]
    assert found["wheel"] == {
        "name": "wheel",
        "version": "2.1",
        "distribution": "minwallet-wheel",
        "place": f"{plugins}/minwallet_wheel-2.1-py3-none-any.whl",
        "is_signed": False,
        "parts": [],
        "operations": ["balance"],
        "is_usable": True,
    }
    assert found["broken"]["is_usable"] is False
    assert found["broken"]["problem"] == "ModuleNotFoundError: No module named 'no_such_module'"


def test_the_folder_of_a_settings_file_is_relative_to_it(tmp_path: Path, plugins: Path) -> None:
    """So the wallet has the same protocols wherever a command runs."""
    (tmp_path / "minwallet.toml").write_text('plugins = "plugins"\n')
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    result = run_minwallet("--db", "../wallet.db", "protocols", "--json", cwd=elsewhere)
    assert "wheel" in {each["name"] for each in result.json["protocols"]}, result


def test_a_command_without_protocols_searches_no_packages(cli: InProcessCli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search reads the metadata of every installed package, which takes time."""
    monkeypatch.setattr(registry, "find_installed_packages", lambda: pytest.fail("searched"))
    player = cli.add_player()
    for command in (
        "--help",
        f"deposit {player} 1",
        f"ledger {player}",
        "verify",
        f"session open {player}",
        "agent list",
    ):
        assert cli.run(*command.split()).code == 0


def test_serve_and_doctor_name_a_broken_package(cli: Cli, plugins: Path) -> None:
    """The server runs with the other protocols. `doctor` fails, and warns about a folder that others can change."""
    plugins.chmod(0o777)
    with running_server(cli.db, MINWALLET_PLUGINS=str(plugins)) as server:
        log = server.read_log()
        assert log.count("is not used") == 1
        assert f"\nminwallet: protocol 'broken' of minwallet-broken 1.0 in {plugins} is not used: " in log
        assert server.http.post("/wallet", content=b"{}").status_code == 200
        found = run_minwallet("--db", cli.db, "doctor", "--json", MINWALLET_PLUGINS=str(plugins)).json["findings"]
    words = [(each["level"], each["words"]) for each in found if each["subject"] == "protocols"]
    assert ["'broken'" in text for level, text in words if level == "fail"] == [True]
    writable = f"other users can change {plugins}, whose code runs in the server; run: chmod -R "
    assert [level for level, text in words if text.startswith(writable)] == ["warn"]


@pytest.mark.parametrize("source", ["raise BaseException('boo')", "import asyncio\nraise asyncio.CancelledError"])
def test_a_package_that_raises_anything_stops_no_command(cli: Cli, tmp_path: Path, source: str) -> None:
    """`protocols`, `doctor` and `serve` name it in one line."""
    plugins = tmp_path / "plugins"
    add_package(plugins, "broken", source)
    listed = run_minwallet("--db", cli.db, "protocols", MINWALLET_PLUGINS=str(plugins))
    assert (listed.code, listed.err, listed.out.count("is not used")) == (0, "", 1)
    with running_server(cli.db, MINWALLET_PLUGINS=str(plugins)) as server:
        assert server.read_log().count("is not used") == 1
        doctor = run_minwallet("--db", cli.db, "doctor", MINWALLET_PLUGINS=str(plugins))
        assert (doctor.err, doctor.out.count("is not used")) == ("", 1)


def test_a_package_that_prints_does_not_change_the_document(cli: Cli, tmp_path: Path) -> None:
    """Its text goes to stderr."""
    source = f"print('at import'){MINIMAL.format(name='loud')}    def __init__(self): print('at creation')\n"
    add_package(tmp_path / "plugins", "loud", source)
    result = run_minwallet("--db", cli.db, "protocols", "--json", MINWALLET_PLUGINS=str(tmp_path / "plugins"))
    assert "loud" in {each["name"] for each in result.json["protocols"]}
    assert result.err == "at import\nat creation\n"


def test_doctor_repeats_no_advice(cli: Cli, tmp_path: Path) -> None:
    """The line about a name that two packages have says what to do, so only the restart is missing."""
    add_package(tmp_path / "plugins", "vela")
    add_package(tmp_path / "plugins", "broken", "1 / 0")
    found = run_minwallet("--db", cli.db, "doctor", "--json", MINWALLET_PLUGINS=str(tmp_path / "plugins"))
    broken, twice = [each["words"] for each in found.json["findings"] if each["subject"] == "protocols"]
    assert twice.endswith(" has a protocol with this name; remove one of them, and restart the server")
    assert broken.endswith("ZeroDivisionError: division by zero; correct or remove it, and restart the server")


def test_doctor_lists_the_protocols(cli: Cli) -> None:
    """Without a problem it is one line."""
    found = run_minwallet("--db", cli.db, "doctor", "--json").json["findings"]
    (finding,) = [each for each in found if each["subject"] == "protocols"]
    assert finding["level"] == "ok"
    assert "vela (minwallet " in finding["words"]


def test_the_paths_of_the_server_belong_to_no_protocol(server: Server) -> None:
    """A package with one of these paths would hide a page."""
    index = server.http.get("/", headers={"accept": "application/json"}).json()
    del index["provider"]
    addresses = [each for value in index.values() for each in (value if isinstance(value, list) else [value])]
    assert {address.split("/")[1] for address in addresses} <= SITE_PATHS


def test_a_new_package_moves_money(tmp_path: Path) -> None:
    """The package that `protocol new` writes works as it is: bets, retries, refusals, and `replay`."""
    written = run_minwallet("protocol", "new", "lucky-spin", cwd=tmp_path)
    assert written.code == 0, written
    folder = tmp_path / "minwallet-lucky-spin"
    assert {each.name for each in folder.iterdir()} == {*render_package("lucky-spin")}
    assert "pico" not in "".join(each.read_text().lower() for each in folder.iterdir())
    with running_server(tmp_path / "wallet.db", MINWALLET_PLUGINS=str(folder)) as server:
        player = server.cli.add_player()
        token = server.cli.open_session(player)

        def call(**fields: object) -> object:
            return server.http.post("/lucky-spin", json={"token": token, **fields}).json()

        assert call(op="bet", id=1, amount=500) == {"ok": True, "balance": 9500}
        assert call(op="bet", id=1, amount=500) == {"ok": True, "balance": 9500}
        assert call(op="bet", id=1, amount=400) == {"ok": False, "balance": 9500, "why": "id_taken"}
        assert call(op="win", id=2, amount=800) == {"ok": True, "balance": 10300}
        assert call(op="cancel", id=1) == {"ok": True, "balance": 10800}
        assert call(op="bet", id=1, amount=500) == {"ok": False, "balance": 10800, "why": "cancelled"}
        assert call(op="evil\nname", id=1) == {"ok": False, "why": "op: must be balance, bet, win or cancel"}
        assert "evil" not in server.read_log()
    assert run_minwallet("--db", tmp_path / "wallet.db", "verify").code == 0


def test_the_ledger_of_a_removed_protocol_stays_readable(tmp_path: Path) -> None:
    """Its entries are listed, verified, exported and imported without the package, and its calls get 404."""
    project = add_project(tmp_path, "pico")
    cli, other = Cli(tmp_path / "wallet.db"), Cli(tmp_path / "other.db")
    with running_server(cli.db, MINWALLET_PLUGINS=str(project)) as server:
        player = server.cli.add_player()
        token = server.cli.open_session(player)
        server.http.post("/pico", json={"token": token, "op": "bet", "id": 1, "amount": 500})
    files = {"ledger": tmp_path / "ledger.csv", "players": tmp_path / "players.csv"}
    for what, file in files.items():
        assert cli.run("export", what, file).code == 0
    assert other.run("import", *files.values()).code == 0
    for each in (cli, other):
        assert [entry["protocol"] for entry in each.read_entries(player)] == ["opening", "pico"]
        each.assert_ledger_valid()
    warnings = [each["words"] for each in cli.run("doctor", "--json").json["findings"] if each["level"] == "warn"]
    assert any(words.startswith("the ledger has entries of protocol 'pico', which is not") for words in warnings)
    with running_server(cli.db) as server:
        assert "pico" not in server.read_log()
        assert server.http.post("/pico", json={}).status_code == 404


@pytest.mark.parametrize("name", ["vela", "Pico", "demo", "wallet", "--", "pi/co", "operator"])
def test_an_unfit_name_is_refused(
    cli: InProcessCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """It is one line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with assert_unchanged(tmp_path):
        assert_error_line(cli.run("protocol", "new", "--", name), 2, "invalid protocol name")


def test_existing_files_are_not_overwritten(cli: InProcessCli, tmp_path: Path) -> None:
    """A second run changes nothing, and names the file."""
    folder = tmp_path / "mine"
    assert cli.run("protocol", "new", "pico", "--path", folder).code == 0
    (folder / "minwallet_pico.py").write_text("mine")
    with assert_unchanged(folder):
        refused = cli.run("protocol", "new", "pico", "--path", folder)
        assert_error_line(refused, 1, str(folder), "exists already", "--path")


def test_a_folder_that_cannot_be_written_is_named(cli: InProcessCli, tmp_path: Path) -> None:
    """It is one line."""
    (tmp_path / "file").write_text("")
    assert_error_line(
        cli.run("protocol", "new", "pico", "--path", tmp_path / "file/sub"), 1, "cannot write the package"
    )


def test_the_document_of_a_new_package_lists_its_files(cli: InProcessCli, tmp_path: Path) -> None:
    """A script finds each file."""
    found = cli.run("protocol", "new", "pico", "--path", tmp_path / "pico", "--json").json
    assert found["folder"] == str(tmp_path / "pico")
    assert sorted(found["files"]) == sorted(each.name for each in (tmp_path / "pico").iterdir())
