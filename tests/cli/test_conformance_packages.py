"""`minwallet conformance` with the protocol of another package, whose calls are signed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minwallet.protocols.registry import load_protocol
from tests.cli.cli_assertions import assert_error_line
from tests.orbit_package import join_pythonpath, write_orbit_package
from tests.protocol_package import installed
from tests.support import InProcessCli, running_server

SECRET = "a-secret-of-this-test"


@pytest.fixture
def orbit(tmp_path: Path) -> Iterator[Path]:
    """Install orbit with its cases, and yield the folder of the package."""
    folder = write_orbit_package(tmp_path / "plugins", "conformance")
    with installed(folder):
        yield folder


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.mark.long
def test_minwallet_itself_passes(db: Path, orbit: Path, secret_file: Path) -> None:
    """The command signs its requests, and names the accounts in them. It shows neither the secret nor a token."""
    with running_server(db, PYTHONPATH=join_pythonpath(orbit)) as server:
        cli = InProcessCli(db)
        cli("agent", "secret", "add", "default", "orbit", "--from-file", secret_file)
        alice, bob = cli.add_player(), cli.add_player()
        tokens = [cli.open_session(player) for player in (alice, bob)]
        options = ["--token", tokens[0], "--second-token", tokens[1], "--secret-file", secret_file]
        accounts = ["--account", f"token={alice}/USD", "--account", f"second={bob}/USD"]
        result = cli.run("conformance", server.url, "--protocol", "orbit", *options, *accounts, "--json")
        assert result.code == 0, result
        assert {each["verdict"] for each in result.json["cases"]} == {"pass"}
        assert set(result.json["left"]["change"].values()) == {"0.00"}
        assert result.json["left"]["open"] == []
        cli.assert_ledger_valid()
        log = server.read_log()
    assert not any(each in result.out + result.err + log for each in (SECRET, *tokens))


def test_a_signed_protocol_needs_a_secret(db: Path, orbit: Path, secret_file: Path) -> None:
    """The error names the option, or the empty file."""
    command = ["conformance", "http://127.0.0.1:1", "--protocol", "orbit", "--token", "t"]
    assert_error_line(InProcessCli(db).run(*command), 2, "protocol 'orbit' signs its calls", "--secret-file")
    secret_file.write_text("\n")
    assert_error_line(InProcessCli(db).run(*command, "--secret-file", secret_file), 2, "is empty")


def test_the_list_has_the_protocols_without_cases(db: Path, orbit: Path, tmp_path: Path) -> None:
    """Their names are after the cases of the others."""
    cli = InProcessCli(db)
    assert {"orbit", "vela"} <= {each["protocol"] for each in cli("conformance", "--list")["cases"]}
    with installed(write_orbit_package(tmp_path / "bare")):
        type(load_protocol("orbit")).conformance = None
        assert cli.run("conformance", "--list").out.splitlines()[-1] == "orbit has no cases"
        assert "orbit" in cli("conformance", "--list")["without_cases"]
        refused = cli.run("conformance", "--list", "--protocol", "orbit")
        assert_error_line(refused, 2, "protocol 'orbit' has no conformance cases; use vela or wallet-v2")
