"""The file system calls of a program and the data on its connections, in order: the log of strace.

The log is written while the program is stopped, so an earlier line happened earlier, also between threads. A call
that is interrupted by one of another thread starts and ends at two places.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from minwallet.storage.file_lock import read_control_endpoint
from tests.support import TIMEOUT_S, clean_environment

NEVER = sys.maxsize
"""The place of the end of a call that did not return."""

WRITE_CALLS = ("pwrite64", "write", "ftruncate", "fdatasync", "fsync", "openat", "unlink")

UNMODELLED_CALLS = (
    *(
        "creat",
        "open",
        "openat2",
        "truncate",
        "unlinkat",
        "rename",
        "renameat",
        "renameat2",
        "link",
        "linkat",
        "symlink",
    ),
    *("pwritev", "pwritev2", "fallocate", "sync_file_range", "msync", "sendfile", "copy_file_range", "splice", "mmap"),
)
"""Calls that change a file in ways that SQLite does not use; if one occurs, the test fails."""

SOCKET_CALLS = ("read", "readv", "recvfrom", "recvmsg", "writev", "sendto", "sendmsg")

HEX_ESCAPES = re.compile(r"(?:\\x[0-9a-f]{2})+")

STRACE_LINE = re.compile(r'(\w+)\((?:([\w-]+)<((?:->|[^>])*)>)?(?:,\s*)?(?:"([^"]*)")?(.*)\) += (\?|-?\d+)', re.DOTALL)
"""A call's name, its descriptor and what that is open on, its bytes or path, all other arguments, and its result."""

PATCHED_PROGRAM = """
import json, sys
from minwallet.storage.sqlite import connection
connection.PRAGMAS = tuple({**dict(connection.PRAGMAS), **json.loads(sys.argv.pop(1))}.items())
from minwallet.__main__ import main
main()
"""
"""The program with other pragmas than its own, for which it has no option."""


class Syscall(NamedTuple):
    """One system call. `target` is a path or a connection's addresses, `data` the bytes written or read. `words` is
    the complete line of an unexpected call."""

    begun: int
    ended: int
    name: str
    descriptor: str
    target: str
    data: bytes
    numbers: Sequence[int]
    text: str

    @property
    def effect_at(self) -> int:
        """Return the place at which the call may take effect: a sync at its end, all others at their start."""
        return self.ended if self.name in ("fsync", "fdatasync") else self.begun


def can_trace() -> bool:
    """Return whether strace is installed and may trace here."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-f", "-o", os.devnull, "true"], check=False, capture_output=True).returncode == 0


def strace_command(log: Path, db: Path, *arguments: str, pragmas: str = "", dies_at: int = 0) -> list[str]:
    """Return the command that runs the program under strace, with its own pragmas, or with some of them replaced by
    these in JSON. If `dies_at` is set, the process is killed at that write to a file by one thread."""
    trace = ",".join((*WRITE_CALLS, *(f"?{each}" for each in UNMODELLED_CALLS), *SOCKET_CALLS))
    strace = f"strace -f -yy -xx -s 100000 -e signal=none -e trace={trace}".split()
    # strace is faster with a filter in the kernel, but then it cannot kill the process.
    death = ["-e", f"inject=pwrite64:signal=KILL:when={dies_at}"] if dies_at else ["--seccomp-bpf"]
    program = ["-c", PATCHED_PROGRAM, pragmas] if pragmas else ["-m", "minwallet"]
    return [*strace, *death, "-o", str(log), sys.executable, *program, "--db", str(db), *arguments]


@contextmanager
def traced_server(log: Path, db: Path, *, pragmas: str, dies_at: int) -> Iterator[str]:
    """Run `minwallet serve` under strace until the end of the block, and yield its URL. It stops normally, or dies
    as ordered."""
    said = log.with_suffix(".err")
    arguments = strace_command(log, db, "serve", "--port", "0", pragmas=pragmas, dies_at=dies_at)
    nothing = subprocess.DEVNULL
    with said.open("w") as stderr:
        strace = subprocess.Popen(
            arguments, stdin=nothing, stdout=nothing, stderr=stderr, env=clean_environment(), start_new_session=True
        )
    try:
        yield _wait_for_url(strace, said)
        desk = read_control_endpoint(db)
        if desk and not dies_at:
            os.kill(desk.pid, signal.SIGTERM)
        assert strace.wait(TIMEOUT_S) == (-signal.SIGKILL if dies_at else 0), said.read_text()
    finally:
        if strace.poll() is None:
            os.killpg(strace.pid, signal.SIGKILL)
            strace.wait()


def _wait_for_url(strace: subprocess.Popen[bytes], said: Path) -> str:
    deadline = time.monotonic() + TIMEOUT_S
    while time.monotonic() < deadline and strace.poll() is None:
        if found := re.search(r" at (http://\S+)", said.read_text()):
            return found[1]
        time.sleep(0.02)
    raise AssertionError(f"the server did not start under strace: {said.read_text()}")


def read_calls(log: Path) -> Iterator[Syscall]:
    """Return the calls in the order of their ends; calls without an end come last."""
    begun: dict[str, tuple[int, str]] = {}
    place = 0
    with log.open() as lines:
        for place, line in enumerate(lines):
            thread, _, text = line.rstrip("\n").partition(" ")
            text, since = text.lstrip(), place
            if text.endswith("<unfinished ...>"):
                begun[thread] = place, text.removesuffix("<unfinished ...>")
                continue
            if text.startswith("<... "):
                since, head = begun.pop(thread)
                text = head + text.partition(" resumed>")[2]
            if call := _read_call(text, since, place):
                yield call
    for since, text in begun.values():
        if call := _read_call(f"{text}) = ?", since, NEVER):
            yield call


def _read_call(text: str, begun: int, ended: int) -> Syscall | None:
    """Return the call, or None if it failed, read a file, or never began."""
    if text.startswith(("+++", "---")) or (text.startswith("read(") and "<TCP:" not in text[:16]):
        return None
    if text.startswith("???("):
        # A thread was killed at the start of a call before strace could read which: Linux does not carry it out.
        return None
    found = STRACE_LINE.match(text)
    assert found, f"unknown line of strace: {text[:200]}"
    name, descriptor, on, data, rest, returned = found.groups()
    if returned.startswith("-"):
        return None
    if name in UNMODELLED_CALLS:
        return Syscall(begun, ended, name, "", "", b"", (), _decode_name(text))
    content = _decode_hex(data or "")
    numbers = [int(each) for each in re.findall(r"(?:^|(?<=, ))\d+", rest)]
    ended = NEVER if returned == "?" else ended
    if name in ("openat", "unlink"):
        return Syscall(begun, ended, name, "", content.decode(), b"", numbers, rest)
    if returned != "?" and content:
        content = content[: int(returned)]
    return Syscall(begun, ended, name, descriptor or "", _decode_name(on or ""), content, numbers, rest)


def _decode_hex(hexed: str) -> bytes:
    return bytes.fromhex(hexed.replace("\\x", ""))


def _decode_name(name: str) -> str:
    return HEX_ESCAPES.sub(lambda found: _decode_hex(found[0]).decode(errors="replace"), name)
