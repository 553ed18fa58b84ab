"""`minwallet agent secret`."""

import io
import os
import pty
import re
import select
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from unittest.mock import patch

import pytest

from minwallet.protocols.registry import list_protocols
from tests.cli.cli_assertions import assert_error_line, assert_usage_error, split_cells
from tests.forkserver import start_minwallet
from tests.protocol_package import installed, write_protocol_package
from tests.support import TIMEOUT_S, InProcessCli, clean_environment, running_server

COMMAND = ("agent", "secret")

SECRET = "kNq8/Zt+the-secret=="

_numbers = count(1)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the package of a protocol that signs its calls."""
    return write_protocol_package(tmp_path_factory.mktemp("packages"))


@pytest.fixture(scope="module", params=["alone", "served"])
def wallet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, packages: Path
) -> Iterator[InProcessCli]:
    """Return the command line on a wallet file, once without and once with a running server. Results are the same."""
    cli = InProcessCli(tmp_path_factory.mktemp("wallet") / "wallet.db")
    cli("agent", "add", "first")
    with installed(packages):
        if request.param == "alone":
            yield cli
        else:
            with running_server(cli.db, PYTHONPATH=str(packages)):
                yield cli


@pytest.fixture
def agent(wallet: InProcessCli) -> Iterator[str]:
    """Yield an agent of its own. Afterwards another agent may have its secrets."""
    name = f"secret{next(_numbers)}"
    wallet("agent", "add", name)
    yield name
    for row in wallet(*COMMAND, "list", name)["protocol_secrets"]:
        if row["revoked_at"] is None:
            wallet(*COMMAND, "revoke", name, row["protocol"], row["fingerprint"])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file that contains SECRET, as an editor saves it."""
    (path := tmp_path / "secret.txt").write_text(f"{SECRET}\n")
    return path


def add(wallet: InProcessCli, agent: str, folder: Path, secret: str) -> str:
    """Add the secret. Return its fingerprint."""
    (path := folder / "another.txt").write_text(secret)
    fingerprint: str = wallet(*COMMAND, "add", agent, "signed", "--from-file", path)["fingerprint"]
    return fingerprint


def test_a_secret_is_known_by_its_fingerprint(wallet: InProcessCli, agent: str, file: Path) -> None:
    """No output shows the secret itself. The list has its protocol, its times and its author."""
    made = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", file, "--json")
    assert SECRET not in made.out + made.err
    assert list(made.json) == ["agent", "protocol", "fingerprint", "created_at", "created_by", "revoked_at"]
    listed = wallet.run(*COMMAND, "list", agent, "--json")
    assert SECRET not in listed.out
    assert listed.json["protocol_secrets"] == [made.json]
    assert (made.json["agent"], made.json["protocol"], made.json["revoked_at"]) == (agent, "signed", None)
    assert made.json["created_by"].startswith("command line")
    assert re.fullmatch("[0-9a-f]{12}", made.json["fingerprint"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made.json["created_at"])


def test_a_secret_is_read_from_standard_input(wallet: InProcessCli, agent: str, file: Path, tmp_path: Path) -> None:
    """The line end is not a part of it, so it is the same secret as in a file."""
    with patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(f"{SECRET}\r\n".encode()))):
        made = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", "-")
    (row,) = wallet(*COMMAND, "list", agent)["protocol_secrets"]
    assert (made.out, made.err) == (f"secret {row['fingerprint']} of agent {agent} for signed is valid\n", "")
    refused = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", file)
    assert_error_line(refused, 1, f"agent {agent} already has this secret for signed: {row['fingerprint']}")
    assert add(wallet, agent, tmp_path, f"{SECRET}x") != row["fingerprint"]


def type_secret(db: Path, packages: Path, agent: str, *keys: bytes) -> tuple[int, str]:
    """Run `add` in a terminal and answer each question with these keys. Return the exit code, and what was shown."""
    main, terminal = pty.openpty()
    command = ["--db", db, *COMMAND, "add", agent, "signed"]
    env = clean_environment(PYTHONPATH=str(packages))
    process = start_minwallet(
        command, stdin=terminal, stdout=terminal, stderr=terminal, env=env, wrapper=("setsid", "--ctty")
    )
    os.close(terminal)
    try:
        shown = ""
        for number, answer in enumerate(keys):
            # The echo is off when the question is complete.
            shown += _read_terminal(main, until="again: " if number % 2 else "secret: ")
            os.write(main, answer)
        shown += _read_terminal(main, until=None)
        return process.wait(TIMEOUT_S), shown
    finally:
        process.kill()
        process.wait()
        os.close(main)


def _read_terminal(main: int, *, until: str | None) -> str:
    """Return what the terminal shows until this text, or with None until the command ends. Wait up to TIMEOUT_S."""
    shown, deadline = "", time.monotonic() + TIMEOUT_S
    while until is None or until not in shown:
        ready, _, _ = select.select([main], [], [], deadline - time.monotonic())
        assert ready, shown
        try:
            more = os.read(main, 1000)
        except OSError:  # Linux, when the command has closed the terminal
            more = b""
        if not more:
            break
        shown += more.decode()
    return shown


def test_a_secret_is_typed_twice_without_an_echo(wallet: InProcessCli, packages: Path, agent: str) -> None:
    """If the two differ, the command asks for both again."""
    keys = [f"{text}\n".encode() for text in (f"{SECRET}1", f"{SECRET}2", SECRET, SECRET)]
    code, shown = type_secret(wallet.db, packages, agent, *keys)
    (row,) = wallet(*COMMAND, "list", agent)["protocol_secrets"]
    assert code == 0, shown
    assert "do not match" in shown
    assert SECRET not in shown
    assert f"secret {row['fingerprint']} of agent {agent} for signed is valid" in shown


@pytest.mark.parametrize("asked", ["secret", "the same again"])
@pytest.mark.parametrize(
    ("keys", "code", "line"),
    [
        (b"\x03", 130, "cancelled; nothing was changed"),
        (b"\x04", 1, "the input ended before the answer; nothing was changed"),
        (b"caf\xe9-caf\xe9\n", 2, "the typed text is not UTF-8; nothing was changed"),
    ],
    ids=["ctrl-c", "ctrl-d", "latin-1"],
)
def test_a_question_without_an_answer_ends_with_one_line(
    wallet: InProcessCli, packages: Path, agent: str, *, asked: str, keys: bytes, code: int, line: str
) -> None:
    """The exit code of Ctrl-C is that of every command."""
    first = [] if asked == "secret" else [f"{SECRET}\n".encode()]
    ended, shown = type_secret(wallet.db, packages, agent, *first, keys)
    assert (ended, shown.splitlines()[len(first) :]) == (code, [f"{asked}: ", f"minwallet: {line}"])
    assert wallet(*COMMAND, "list", agent)["protocol_secrets"] == []


def test_without_a_terminal_a_file_is_necessary(wallet: InProcessCli, agent: str) -> None:
    with patch.object(sys, "stdin", io.StringIO(SECRET)):
        refused = wallet.run(*COMMAND, "add", agent, "signed")
    assert_error_line(refused, 2, "no terminal to ask for the secret", "--from-file FILE", "--from-file -")


def test_a_short_secret_is_valid_and_named_as_weak(wallet: InProcessCli, agent: str, tmp_path: Path) -> None:
    """The provider chooses the secret, and a test system may have a short one."""
    (path := tmp_path / "short").write_text("testKey")
    made = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", path)
    assert made.code == 0
    assert made.err.endswith(
        "this secret has only 7 characters and can be guessed; ask the provider for a longer one\n"
    )
    assert "testKey" not in made.out + made.err


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"\n", b"abc", b"two words", "sécret-sécret".encode(), b"x" * 257, b"first\nsecond\n"),
        *(b" space-before", b"space-after \n", b"tab-after\t\r\n", b"\nline-before", b"two-line-ends\n\n"),
    ],
)
def test_an_invalid_secret_is_refused_without_being_shown(
    wallet: InProcessCli, agent: str, tmp_path: Path, content: bytes
) -> None:
    (path := tmp_path / "invalid").write_bytes(content)
    refused = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", path)
    expected = "invalid secret: expected 4 to 256 printable ASCII characters without spaces"
    assert_error_line(refused, 2, expected)
    assert refused.err == f"minwallet: {expected}\n"


def test_a_secret_has_up_to_256_characters(wallet: InProcessCli, agent: str, tmp_path: Path) -> None:
    """A byte order mark and a line end do not count."""
    (path := tmp_path / "longest").write_text(f"\ufeff{'x' * 256}\r\n")
    assert wallet.run(*COMMAND, "add", agent, "signed", "--from-file", path).code == 0


@pytest.mark.parametrize("source", ["file", "/dev/zero", "-"])
def test_a_file_that_is_too_long_is_not_read_to_its_end(
    wallet: InProcessCli, agent: str, tmp_path: Path, source: str
) -> None:
    """It may be endless."""
    (tmp_path / "file").write_bytes(b"x" * 1_000_000)
    with Path("/dev/zero").open() as endless, patch.object(sys, "stdin", endless):
        path = source if source == "-" else tmp_path / source
        refused = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", path)
    name = "standard input" if source == "-" else f"'{path}'"
    words = f"the secret in {name} is too long: expected 4 to 256 printable ASCII characters without spaces"
    assert_error_line(refused, 2, words)


def test_an_unreadable_file_is_refused(wallet: InProcessCli, agent: str, tmp_path: Path) -> None:
    (binary := tmp_path / "binary").write_bytes(b"abc\xff\xfeabc")
    for path, words in ((tmp_path / "missing", "no such file"), (tmp_path, "folder"), (binary, "not UTF-8")):
        refused = wallet.run(*COMMAND, "add", agent, "signed", "--from-file", path)
        assert_error_line(refused, 2, f"cannot read '{path}'", words)


def test_the_protocol_must_sign_its_calls(wallet: InProcessCli, agent: str, file: Path) -> None:
    """The message about an unknown one names the installed ones."""
    installed_names = ", ".join(sorted({*list_protocols(), "signed"}))
    for protocol, words in {
        "nothing": f"unknown protocol 'nothing'; installed: {installed_names}",
        "vela": "protocol vela does not sign its calls",
    }.items():
        assert_error_line(wallet.run(*COMMAND, "add", agent, protocol, "--from-file", file), 1, words)
    assert_error_line(wallet.run(*COMMAND, "add", agent, "a/b", "--from-file", file), 2, "invalid protocol 'a/b'")


def test_a_secret_is_revoked_by_its_fingerprint(wallet: InProcessCli, agent: str, tmp_path: Path) -> None:
    """Whole or its beginning. The revoked secret stays in the list, and can be added again."""
    first, second = (add(wallet, agent, tmp_path, f"{SECRET}{number}") for number in range(2))
    common = next(length for length in range(12) if first[length] != second[length])
    assert wallet(*COMMAND, "revoke", agent, "signed", first[: common + 1])["revoked_at"]
    rows = {each["fingerprint"]: each["revoked_at"] for each in wallet(*COMMAND, "list", agent)["protocol_secrets"]}
    assert rows.keys() == {first, second}
    assert rows[first]
    assert rows[second] is None
    refused = wallet.run(*COMMAND, "revoke", agent, "signed", first)
    assert_error_line(refused, 1, "no live secret for signed", f"minwallet agent secret list {agent}")
    assert add(wallet, agent, tmp_path, f"{SECRET}0") == first
    lines = wallet.run(*COMMAND, "list", agent).out.splitlines()
    assert split_cells(lines[0]) == ["protocol", "fingerprint", "created", "created by", "revoked"]
    assert [split_cells(line)[:2] for line in lines[1:]] == [["signed", second], ["signed", first]]


def _add_similar(wallet: InProcessCli, agent: str, folder: Path) -> tuple[str, str]:
    """Add secrets until two fingerprints begin with the same digit. Return these two."""
    found: dict[str, str] = {}
    for number in count():
        fingerprint = add(wallet, agent, folder, f"{SECRET}{number}")
        if other := found.get(fingerprint[0]):
            return other, fingerprint
        found[fingerprint[0]] = fingerprint
    raise AssertionError("there are 16 digits")


def test_an_ambiguous_beginning_is_refused(wallet: InProcessCli, agent: str, tmp_path: Path) -> None:
    """Only live secrets of this agent and protocol count."""
    first, second = _add_similar(wallet, agent, tmp_path)
    refused = wallet.run(*COMMAND, "revoke", agent, "signed", first[0])
    assert_error_line(refused, 1, "has 2 live secrets for signed", first, second, "give more characters")
    wallet(*COMMAND, "revoke", agent, "signed", first)
    assert wallet(*COMMAND, "revoke", agent, "signed", first[0])["fingerprint"] == second
    assert_error_line(wallet.run(*COMMAND, "revoke", agent, "vela", first), 1, "no live secret for vela")


def test_invalid_arguments_are_refused(wallet: InProcessCli, agent: str, file: Path) -> None:
    """The agent must exist. No option takes the secret itself: other users could read it in the process list."""
    for command in (
        ("add", "nobody", "signed", "--from-file", file),
        ("list", "nobody"),
        ("revoke", "nobody", "x", "a"),
    ):
        assert_error_line(wallet.run(*COMMAND, *command), 1, "unknown agent 'nobody'", "minwallet agent list")
    refused = wallet.run(*COMMAND, "revoke", agent, "signed", "XYZ")
    assert_error_line(refused, 2, "invalid fingerprint 'XYZ'", "the first characters of a fingerprint")
    assert_usage_error(wallet.run(*COMMAND, "revoke", agent, "signed"), "FINGERPRINT")
    assert_usage_error(wallet.run(*COMMAND, "add", agent, "signed", SECRET), "unexpected argument")
    empty = wallet.run(*COMMAND, "list", agent)
    advice = f"minwallet agent secret add {agent} PROTOCOL"
    assert (empty.code, empty.out) == (0, f"no secrets yet; add one with: {advice}\n")
