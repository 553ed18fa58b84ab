"""The output for people: help, completion, pipes and terminals."""

import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest
import typer

from minwallet.cli.main import app
from minwallet.cli.output import PAGE_ROWS, print_table
from tests.cli.cli_assertions import MINWALLET_SCRIPT, split_cells
from tests.forkserver import FRESH_PROCESS
from tests.support import InProcessCli, clean_environment, run_minwallet

pytestmark = pytest.mark.long

COMMAND = [sys.executable, "-m", "minwallet"]


def _list_commands(command: object, *words: str) -> list[tuple[str, ...]]:
    """Yield the words of the command and of every command below it."""
    below = getattr(command, "commands", {})
    return [words, *(found for name, each in below.items() for found in _list_commands(each, *words, name))]


@pytest.mark.parametrize("words", _list_commands(typer.main.get_command(app)), ids=" ".join)
def test_every_command_explains_itself(cli: InProcessCli, words: tuple[str, ...]) -> None:
    """`--help` shows the usage, a sentence, and a text for each option."""
    shown = cli.run(*words, "--help")
    assert (shown.code, shown.err) == (0, "")
    usage, _, sentence, *rest = shown.out.splitlines()
    assert usage.startswith(f"Usage: minwallet {' '.join(words)}".rstrip())
    assert len(sentence.split()) > 2
    options = re.findall(r"^  (--\S+(?: [A-Z.]+)?)(.*)$", "\n".join(rest), re.MULTILINE)
    assert "--help" in [name for name, _ in options]
    assert not cli.db.exists()


def test_help_is_the_same_for_the_module(tmp_path: Path) -> None:
    """`python -m minwallet` prints the same help as `minwallet`."""
    by_module = run_minwallet("--help", cwd=tmp_path, **FRESH_PROCESS)
    by_script = subprocess.run(
        [MINWALLET_SCRIPT, "--help"], check=True, capture_output=True, text=True, env=clean_environment()
    )
    assert by_module == (0, by_script.stdout.replace("Usage: ", "Usage: python -m "), "")


def test_an_unknown_command_or_option_is_a_usage_error(cli: InProcessCli) -> None:
    """The code is 2, and the error is on stderr."""
    for words in (["nonsense"], ["player", "nonsense"], ["verify", "--nonsense"], ["verify", "more"], ["deposit", "x"]):
        result = cli.run(*words)
        assert (result.code, result.out) == (2, "")
        assert "--help" in result.err
    assert not cli.db.exists()


def test_the_shell_completes_commands() -> None:
    """`--show-completion` prints a script for the shell, and the script's requests are answered."""
    show = ["bash", "-c", f"'{MINWALLET_SCRIPT}' --show-completion; exit $?"]
    shown = subprocess.run(show, check=True, capture_output=True, text=True, env=clean_environment())
    assert "complete" in shown.stdout
    assert shown.stderr == ""
    asked = clean_environment(COMP_WORDS="minwallet pl", COMP_CWORD="1", _MINWALLET_COMPLETE="complete_bash")
    answer = subprocess.run([MINWALLET_SCRIPT], check=False, capture_output=True, text=True, env=asked)
    assert answer.stdout.split() == ["player"]


@pytest.fixture(scope="module")
def many_players(tmp_path_factory: pytest.TempPathFactory) -> InProcessCli:
    """Return a wallet with more players than the buffer of a pipe holds."""
    folder = tmp_path_factory.mktemp("crowded")
    rows = "".join(f"player{number:04},USD,{number}.00\n" for number in range(3000))
    (folder / "players.csv").write_text(f"player_id,currency,balance\n{rows}")
    cli = InProcessCli(folder / "wallet.db")
    cli("seed", folder / "players.csv")
    return cli


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_may_stop_reading(many_players: InProcessCli, options: list[str]) -> None:
    """`| head -1` gets its line, and the command ends silently with code 0."""
    command = [*COMMAND, "--db", str(many_players.db), "player", "list", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=clean_environment()) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.read(6) in {b"player", b'{"play'}
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == (b"", 0)


@pytest.mark.parametrize("words", ["player show player0001", "verify", "session open player0001"])
def test_a_reader_may_be_gone_before_the_first_line(many_players: InProcessCli, words: str) -> None:
    """The command still does its work, without an error."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [*COMMAND, "--db", str(many_players.db), *words.split()]
    done = subprocess.run(
        command, check=False, stdout=writing, stderr=subprocess.PIPE, env=clean_environment(), text=True
    )
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert done.returncode == 0


def test_output_on_a_full_disk_is_an_error(many_players: InProcessCli) -> None:
    """The reason is one line, not a traceback."""
    command = [*COMMAND, "--db", str(many_players.db), "player", "list"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, check=False, stdout=full, stderr=subprocess.PIPE, env=clean_environment(), text=True
        )
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr
    assert done.returncode != 0


def test_a_closed_output_is_allowed(many_players: InProcessCli) -> None:
    """This is the case of `>&-` in a shell."""
    command = [
        "bash",
        "-c",
        'exec "$@" >&-',
        "bash",
        *COMMAND,
        "--db",
        str(many_players.db),
        "player",
        "show",
        "player0001",
    ]
    done = subprocess.run(command, check=False, capture_output=True, env=clean_environment(), text=True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_ascii_output_is_allowed(many_players: InProcessCli, options: list[str]) -> None:
    """Other characters are replaced, without a traceback."""
    many_players.open_session("player0002")
    listed = run_minwallet("--db", many_players.db, "session", "list", "player0002", *options, PYTHONIOENCODING="ascii")
    assert "Traceback" not in listed.err
    assert listed.code == 0
    assert "live" in listed.out


def _run_in_terminal(columns: int, *arguments: object, typed: str = "") -> tuple[int, str]:
    """Return the exit code and the output of the command on a terminal of this width, where somebody types this."""
    leader, follower = pty.openpty()
    os.write(leader, typed.encode())
    ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    settings = {
        name: value for name, value in clean_environment(TERM="xterm").items() if name not in {"COLUMNS", "NO_COLOR"}
    }
    command = [*COMMAND, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=settings)
    os.close(follower)
    written = b""
    while True:
        try:
            written += os.read(leader, 65536)
        except OSError:  # the way in which Linux says that nobody has the other end any more
            break
    os.close(leader)
    return process.wait(), written.decode()


def _render_screen(written: str) -> list[str]:
    """Return the lines that stay on the screen. Handle only the control sequences of a progress bar."""
    lines, row, column = [""], 0, 0
    for control, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", written):
        if text:
            lines[row] = (lines[row].ljust(column)[:column] + text).ljust(0) + lines[row][column + len(text) :]
            column += len(text)
        elif control == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif control == "\r":
            column = 0
        elif control.endswith("A"):
            row -= int(control[2:-1] or 1)
        elif control == "\x1b[2K":
            lines[row] = ""
        else:
            assert control.endswith("m") or control in {"\x1b[?25l", "\x1b[?25h"}, repr(control)
    return [line.rstrip() for line in lines if line.strip()]


def test_seeding_shows_progress_and_clears_it_away(many_players: InProcessCli, tmp_path: Path) -> None:
    """On a terminal there is a progress bar, then the lines about the result, and a visible cursor."""
    file = many_players.db.with_name("players.csv")
    code, written = _run_in_terminal(80, "--db", tmp_path / "new.db", "seed", file)
    assert code == 0
    assert "100%" in written
    assert "writing 3000 lines" in written
    assert _render_screen(written) == [
        f"created new wallet {tmp_path}/new.db",
        "3000 players and 3000 accounts added",
    ]
    assert written.count("\x1b[?25h") == written.count("\x1b[?25l")


def test_a_table_in_a_terminal(many_players: InProcessCli) -> None:
    """It equals the table elsewhere, with a bold header."""
    code, written = _run_in_terminal(80, "--db", many_players.db, "player", "show", "player0007")
    assert code == 0
    assert "\x1b[1m" in written
    assert [split_cells(line) for line in _render_screen(written)] == [
        ["player", "agent", "status", "currency", "cash", "bonus"],
        ["player0007", "default", "active", "USD", "7.00", "0.00"],
    ]


def test_a_narrow_terminal_shows_the_columns_that_identify(many_players: InProcessCli) -> None:
    """A ledger has the columns that fit, and then one line per value. `--wide` prints the complete table."""
    ledger = ("--db", many_players.db, "ledger", "player0007")
    code, written = _run_in_terminal(80, *ledger)
    header, row, note = _render_screen(written)
    assert code == 0
    assert split_cells(header) == ["seq", "kind", "id", "game", "round", "state", "cash change", "cash"]
    assert split_cells(row)[1:] == ["deposit", "player0007:USD", "applied", "7.00", "7.00"]
    assert note.startswith("(columns not shown: at (UTC), protocol; widen the terminal, or use --wide")
    _, written = _run_in_terminal(40, *ledger)
    lines = _render_screen(written)
    assert [line.partition(": ")[0] for line in lines] == [
        *("seq", "kind", "id", "state", "cash change", "cash", "at (UTC)", "protocol")
    ]
    assert "id: player0007:USD" in lines
    _, written = _run_in_terminal(40, *ledger, "--wide")
    header, row = _render_screen(written)
    assert split_cells(header)[-2:] == ["at (UTC)", "protocol"]
    assert split_cells(row)[-1] == "opening"


@pytest.mark.parametrize(("typed", "options", "until"), [("n\n", (), None), ("", ("--yes",), "2099-01-31")])
def test_an_exclusion_on_a_terminal_needs_a_confirmation(
    many_players: InProcessCli, typed: str, options: tuple[str, ...], until: str | None
) -> None:
    """The question says that the exclusion cannot be shortened for 24 hours. `--yes` is for scripts."""
    player = many_players.add_player()
    exclude = ("player", "exclude", player, "--until", "2099-01-31", *options)
    code, written = _run_in_terminal(200, "--db", many_players.db, *exclude, typed=typed)
    question = f"exclude {player} until 2099-01-31 00:00 UTC?"
    assert (code, question in written) == ((1, True) if until is None else (0, False))
    assert ("cannot be shortened for 24 hours" in written) == (until is None)
    excluded_until = many_players("player", "show", player)["excluded_until"]
    assert excluded_until == (until and f"{until}T00:00:00.000Z")


def test_an_exclusion_without_an_answer_changes_nothing(many_players: InProcessCli) -> None:
    """The input ends (Ctrl-D): one line, and no traceback."""
    player = many_players.add_player()
    exclude = ("player", "exclude", player, "--until", "2099-01-31")
    code, written = _run_in_terminal(200, "--db", many_players.db, *exclude, typed="\x04")
    assert (code, written.splitlines()[-1]) == (
        1,
        "minwallet: the input ended before the answer; nothing was changed",
    )
    assert many_players("player", "show", player)["excluded_until"] is None


def test_a_long_table_is_printed_page_by_page(capsys: pytest.CaptureFixture[str]) -> None:
    """A page with longer values has wider columns. Control characters in a provider's text are visible."""
    rows = [("a", 1), ("\x1b\u202er\n", 22)] * (PAGE_ROWS // 2) + [("longer than before", 333)]
    print_table(["name", "size>"], rows, "nothing")
    header, first, second, *_, last = capsys.readouterr().out.splitlines()
    assert (header, first, second) == (
        "name           size",
        "a                 1",
        r"\x1b\u202er\n    22",
    )
    assert last == "longer than before   333"
    print_table(["name"], [], "nothing")
    assert capsys.readouterr().out == "nothing\n"
