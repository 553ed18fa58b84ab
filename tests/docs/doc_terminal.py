"""A bash that runs the commands of one page, and the terminals beside it.

Nothing sleeps: a command has ended when the marker after it appears, and a program that runs until it is stopped is
awaited by its expected output.
"""

import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import SystemRandom
from threading import Condition, Thread
from typing import NamedTuple

from tests.docs.doc_pages import CTRL_C, DocCommand
from tests.docs.output_matcher import is_output_prefix, matches_output
from tests.support import TIMEOUT_S

PORT_PATTERN = re.compile(
    r"((?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):|--(?:[a-z]+-)?port[ =]|(?<![a-z])port ?= ?:?|_PORT=)(\d{4,5})\b"
)
"""A port where it cannot be anything else."""

DEFAULT_PORTS = (
    (re.compile(r"\b(minwallet (?:--db \S+ )?demo)(?![\w-])(?!.*--port)"), r"\1 --port 8000"),
    (re.compile(r"\b(minwallet (?:--db \S+ )?demo)(?![\w-])(?!.*--provider-port)"), r"\1 --provider-port 8100"),
    (re.compile(r"\b(minwallet (?:--db \S+ )?demo-provider)(?![\w-])(?!.*--port)"), r"\1 --port 8100"),
)
"""Ports that a command takes without being told, spelled out, so that they can be others here."""


class DocMismatch(AssertionError):
    """A command whose output differs from its page."""


class _OutputReader:
    """A reader of a pipe, in a thread of its own."""

    def __init__(self, source: int) -> None:
        self._text, self._ended, self._news = "", False, Condition()
        self._source = source
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, found: Callable[[str], object]) -> tuple[str, bool]:
        """Return all output as soon as `found` matches it or it has ended, and whether it has ended."""
        with self._news:
            if not self._news.wait_for(lambda: self._ended or found(self._text), TIMEOUT_S):
                raise TimeoutError
            return self._text, self._ended

    def discard(self, length: int) -> None:
        """Forget the output so far."""
        with self._news:
            self._text = self._text[length:]

    @property
    def text(self) -> str:
        with self._news:
            return self._text

    def _read(self) -> None:
        with os.fdopen(self._source, "rb", 0) as pipe:
            while some := pipe.read(65_536):
                with self._news:
                    self._text += some.decode(errors="replace")
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()


class _BackgroundProgram(NamedTuple):
    """A program that runs in another terminal, with the number of its process group."""

    command: DocCommand
    group: int
    output: _OutputReader


class BashSession:
    """One bash in an empty folder, for one page."""

    def __init__(self, folder: Path, environment: Mapping[str, str], *, sets_port: bool) -> None:
        self.folder = folder
        self._ports: dict[str, str] = {}
        self._background_programs: list[_BackgroundProgram] = []
        self._mark = f"mark_{secrets.token_hex(8)}"
        self._pipes = folder.parent / f"{folder.name}.pipes"
        self._pipes.mkdir()
        # Typed through a pipe of its own, so that no command reads the next one for its input.
        reader, writer = os.pipe()
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", f"/dev/fd/{reader}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[reader],
            cwd=folder,
            env=environment if sets_port else {**environment, "MINWALLET_PORT": self._assigned_port("8000")},
        )
        os.close(reader)
        self._stdin = os.fdopen(writer, "w")
        assert self._bash.stdout is not None
        self._output = _OutputReader(os.dup(self._bash.stdout.fileno()))
        self._bash.stdout.close()

    def run(self, command: DocCommand, *, in_background: bool) -> None:
        """Type a command and compare its output with the page. `beside` is in another terminal. Raise DocMismatch if it
        differs.
        """
        text = command.text
        for wanted, spelled in DEFAULT_PORTS:
            text = wanted.sub(spelled, text)
        prints = (
            command.expected
            if command.expected is None
            else [self._substitute_ports(line) for line in command.expected]
        )
        command = DocCommand(command.line, self._substitute_ports(text), prints)
        if command.text == CTRL_C:
            self._interrupt_newest()
        elif in_background:
            self._start_in_background(command)
        else:
            self._run_and_compare(command)

    def interrupt_all(self) -> None:
        """Stop all running programs, newest first."""
        while self._background_programs:
            self._interrupt_newest()

    def close(self) -> None:
        """Stop all programs and the bash."""
        for other in self._background_programs:
            with suppress(ProcessLookupError):
                os.killpg(other.group, signal.SIGKILL)
        self._stdin.close()
        self._bash.kill()
        self._bash.wait()

    def _run_and_compare(self, command: DocCommand) -> None:
        came = self._execute(
            f"eval {shlex.quote(command.text)}" if command.expected is not None else _fail_on_error(command)
        )
        if command.expected is None:
            if FAILURE_MARKER in came:
                raise DocMismatch(_describe_mismatch(command, ["each command succeeds"], came))
        elif not matches_output(command.expected, came):
            raise DocMismatch(_describe_mismatch(command, command.expected, came))

    def _start_in_background(self, command: DocCommand) -> None:
        if not command.expected:
            raise DocMismatch(f"line {command.line}: $ {command.text}\nshows no line to wait for")
        expected = command.expected
        pipe = self._pipes / str(command.line)
        os.mkfifo(pipe)
        source = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(source, True)
        # With job control it has a process group of its own, which Ctrl-C reaches as it would in a terminal.
        job = f"{{ eval {shlex.quote(command.text)}; }} >&9 2>&1 9>&- &"
        came = self._execute(f"exec 9>{shlex.quote(str(pipe))}; set -m; {job} set +m; exec 9>&-; echo $!")
        output = _OutputReader(source)
        self._background_programs.append(_BackgroundProgram(command, int(came), output))
        try:
            came, has_ended = output.wait_for(lambda text: is_output_prefix(expected, _complete_lines(text)))
        except TimeoutError:
            came, has_ended = output.text, False
        if not is_output_prefix(expected, came):
            raise DocMismatch(
                _describe_mismatch(command, expected, came + ("(and it ended)" if has_ended else "(and nothing more)"))
            )

    def _interrupt_newest(self) -> None:
        if not self._background_programs:
            raise DocMismatch("nothing runs that Ctrl-C could stop")
        command, group, output = self._background_programs[-1]
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGINT)
        try:
            came, _ = output.wait_for(lambda _: False)
        except TimeoutError:
            raise DocMismatch(_describe_mismatch(command, ["an end after Ctrl-C"], output.text)) from None
        del self._background_programs[-1]
        if "Traceback" in came:
            raise DocMismatch(_describe_mismatch(command, ["an end after Ctrl-C, in order"], came))

    def _execute(self, text: str) -> str:
        """Return bash's output for the text. The next text can read the exit code of this one."""
        mark = f"\n{self._mark}\n"
        self._stdin.write(f"{text}\nlast=$?; echo; echo {self._mark}; (exit $last)\n")
        self._stdin.flush()
        try:
            came, _ = self._output.wait_for(lambda text: mark in text)
        except TimeoutError:
            raise DocMismatch(f"{text}\nhas not ended; so far it printed\n{self._output.text}") from None
        if mark not in came:
            raise DocMismatch(f"{text}\nended the shell, with\n{came}")
        printed, _, _ = came.partition(mark)
        self._output.discard(len(printed) + len(mark))
        return printed

    def _substitute_ports(self, text: str) -> str:
        return PORT_PATTERN.sub(lambda found: found[1] + self._assigned_port(found[2]), text)

    def _assigned_port(self, named: str) -> str:
        if named not in self._ports:
            self._ports[named] = str(_find_free_port())
        return self._ports[named]


@contextmanager
def open_session(folder: Path, environment: Mapping[str, str], *, sets_port: bool = False) -> Iterator[BashSession]:
    """Yield a terminal, and stop all its programs with Ctrl-C at the end of the block. `sets_port` is true if the page
    itself sets the server's port.
    """
    terminal = BashSession(folder, environment, sets_port=sets_port)
    try:
        yield terminal
        terminal.interrupt_all()
    finally:
        terminal.close()


FAILURE_MARKER = "failed: "


def _fail_on_error(command: DocCommand) -> str:
    """Return the script, changed so that each command must succeed and a failure is named."""
    return f"trap 'echo \"{FAILURE_MARKER}$BASH_COMMAND\"' ERR; eval {shlex.quote(command.text)}; trap - ERR"


def _complete_lines(text: str) -> str:
    return text[: text.rfind("\n") + 1]


def _describe_mismatch(command: DocCommand, expected: Sequence[str], came: str) -> str:
    return "\n".join([f"line {command.line}: $ {command.text}", "expected", *expected, "came", came])


def _find_free_port() -> int:
    """Return a free port below the system's ephemeral ones, so that no connection takes it meanwhile."""
    while True:
        port = SystemRandom().randrange(20_000, 32_000)
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
