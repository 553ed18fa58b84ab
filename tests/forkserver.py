"""A fast way to start the program as real processes: one process loads the program and forks another for each command.

A forked process has a number, signals, streams and an exit code of its own, and is a child of the requester, as if
Python had been started. Only the import, about half a second, and typer's reading of the command line's definition are
done once. At the end the threads are joined, the exit handlers run and the output is flushed, but the modules are not
taken apart: that touches all shared memory, which takes longer than most commands. So it cannot show that a command
imports what it needs, how it behaves during the import, or what a destructor prints at the end.

Python itself is started if the environment differs in more than the program's own settings, because that can change
Python or a library. AFRESH requests this too, and so does another system than Linux. For libraries that precede the C
library (LD_PRELOAD) a second process is kept, which loaded the program after them.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, TextIO, cast

PR_SET_CHILD_SUBREAPER = 36

OWN_PREFIXES = ("MINWALLET_", "NO_COLOR", "TMPDIR", "PYTEST_")
"""What begins so in the environment, a loaded program reads no worse than a fresh one."""

SHELL_VARIABLES = ("PATH", "HOME", "PWD", "OLDPWD", "SHLVL", "_")
"""What a shell tells in passing, and nothing reads while it loads."""

PRELOAD_PREFIXES = ("LD_PRELOAD", "FAILING")
"""What such libraries are named by, and told by."""

FRESH_PROCESS = {"FRESH_PROCESS": "1"}
"""Settings that start Python."""

MAX_REQUEST_BYTES = 100_000

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(OWN_PREFIXES)} | {
    "NO_COLOR": "1"
}

_request_lock = threading.Lock()

_exit_codes: list[int] = []
"""The exit code of the command, in a forked process at its end."""

Stream = int | IO[Any] | None


def start_minwallet(
    arguments: Sequence[object],
    *,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = subprocess.DEVNULL,
    stderr: Stream = subprocess.DEVNULL,
    env: Mapping[str, str],
    cwd: Path | None = None,
    wrapper: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """Start `run_minwallet` with these arguments as a process. `wrapper` is a command that starts another one."""
    kind = _ForkedProcess if _may_fork(env) and not wrapper else subprocess.Popen
    command = [*wrapper, sys.executable, "-m", "minwallet", *map(str, arguments)]
    return kind(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, text=True)


def _may_fork(env: Mapping[str, str]) -> bool:
    return sys.platform == "linux" and _relevant_variables(env) == _relevant_variables(ENVIRONMENT)


def _relevant_variables(env: Mapping[str, str]) -> dict[str, str]:
    return {
        name: env[name]
        for name in env
        if name not in SHELL_VARIABLES and not name.startswith((*OWN_PREFIXES, *PRELOAD_PREFIXES))
    }


def _preload_variables(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, env[name]) for name in PRELOAD_PREFIXES if name in env)


class _ForkedProcess(subprocess.Popen[str]):
    """A process that the loaded process forked, with the interface of subprocess."""

    def _execute_child(self, args: list[str], *rest: Any) -> None:  # noqa: ANN401 as the standard library calls it
        _executable, _preexec, _close_fds, _pass_fds, cwd, env = rest[:6]
        pipes = rest[9:15]
        ours = [end if end != -1 else own for own, end in enumerate((pipes[0], pipes[3], pipes[5]))]
        order = {"arguments": args[3:], "env": dict(env), "cwd": str(cwd or Path.cwd())}
        self.pid = _request_fork(order, ours)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]  # the standard library's own

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the process, without the standard library's growing pauses between two looks."""
        if timeout is not None and self.returncode is None:
            # Only the parent reaps the process, so the number is still the process's.
            descriptor = os.pidfd_open(self.pid)
            try:
                poll = select.poll()
                poll.register(descriptor, select.POLLIN)
                begun = time.monotonic()
                poll.poll(timeout * 1000)
                timeout -= time.monotonic() - begun
            finally:
                os.close(descriptor)
        return super().wait(timeout)


def _request_fork(request: Mapping[str, Any], streams: list[int]) -> int:
    encoded = json.dumps(request).encode()
    assert len(encoded) < MAX_REQUEST_BYTES
    with _request_lock:
        loaded = _template_connection(_preload_variables(request["env"]))
        socket.send_fds(loaded, [encoded], streams)
        answer = loaded.recv(20)
    assert answer, "the process that has loaded the program has ended"
    return int(answer)


@cache
def _template_connection(preloaded: tuple[tuple[str, str], ...]) -> socket.socket:
    """Return the connection to the process that loaded the program, with these libraries. It ends with this process."""
    # What the forked process's parent leaves behind becomes this process's child, to be waited for like its own.
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    local_end, remote_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with remote_end:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forkserver", str(remote_end.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[remote_end.fileno()],
            env=ENVIRONMENT | dict(preloaded),
            cwd=Path(__file__).parent.parent,
        )

    def end() -> None:
        local_end.close()
        process.wait()

    atexit.register(end)
    return local_end


def _load_all_modules() -> None:
    """Import all modules of the program, and what they import later."""
    import minwallet  # noqa: PLC0415 only this process loads all of it

    for module in pkgutil.walk_packages(minwallet.__path__, "minwallet."):
        if module.name != "minwallet.__main__":
            importlib.import_module(module.name)
    for name in ("uvicorn.loops.uvloop", "uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on"):
        importlib.import_module(name)
    _build_commands_once()


def _build_commands_once() -> None:
    """Let typer return the same commands in every call of the program. It builds them anew in each one."""
    import typer.main  # noqa: PLC0415 only this process loads all of it

    from minwallet.cli.main import app  # noqa: PLC0415 only this process loads all of it

    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(app)


def _serve_fork_requests(orders: socket.socket) -> dict[str, Any] | None:
    """Fork a process for each request, and execute the request in it."""
    while True:
        asked, streams, _, _ = socket.recv_fds(orders, MAX_REQUEST_BYTES, 3)
        if not asked:
            return None
        answers, answer = os.pipe()
        between = os.fork()
        if between == 0:
            if child := os.fork():
                os.write(answer, str(child).encode())
                os._exit(0)
            for own, stream in enumerate(streams):
                os.dup2(stream, own)
            orders.close()
            os.closerange(3, max(answers, answer, *streams) + 1)
            order: dict[str, Any] = json.loads(asked)
            return order
        # Once it has ended, the child is a child of whoever asked.
        os.waitpid(between, 0)
        orders.send(os.read(answers, 20))
        for each in (answers, answer, *streams):
            os.close(each)


def _run_request(order: dict[str, Any]) -> None:
    """Do the same as `python -m minwallet`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    # The streams that Python makes at its start know what kind of file they write to.
    sys.stdin = _reopen_stream(0, "r", sys.stdin)
    sys.stdout = _reopen_stream(1, "w", sys.stdout)
    sys.stderr = _reopen_stream(2, "w", sys.stderr)
    from minwallet.__main__ import main  # noqa: PLC0415 it is the command

    sys.argv = ["minwallet", *order["arguments"]]
    try:
        main()
    except SystemExit as end:
        # Any other end, such as an exception, is left to Python.
        if isinstance(end.code, int | None):
            _exit_codes.append(end.code or 0)
        raise


def _end_process() -> None:
    """End a forked process with the code of its command, after its threads and its other exit handlers."""
    if _exit_codes:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except (OSError, ValueError):
            # Python itself handles a stream that cannot be written.
            return
        os._exit(_exit_codes[0])


def _reopen_stream(number: int, mode: str, like: TextIO) -> TextIO:
    return cast("TextIO", os.fdopen(number, mode, 1 if number == 2 else -1, like.encoding, like.errors, closefd=False))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The first exit handler runs last.
    atexit.register(_end_process)
    _load_all_modules()
    gc.collect()
    gc.freeze()
    order = _serve_fork_requests(socket.socket(fileno=int(sys.argv[1])))
    if order is not None:
        _run_request(order)
