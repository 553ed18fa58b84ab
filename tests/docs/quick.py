"""`minwallet` on the PATH of a page, quickly: a small program that has the real one started by tests/starter.py.

It hands over its arguments, environment, folder and streams, passes signals on, and ends as the real one does. Where it
is killed, so is the real one.
"""

import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import Popen
from threading import Thread

from tests.starter import LARGEST, start

SMALL_PROGRAM = """
import json, os, signal, socket, sys

with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as starter:
    starter.connect(sys.argv[1])
    order = json.dumps([sys.argv[2:], dict(os.environ), os.getcwd()])
    socket.send_fds(starter, [order.encode()], [0, 1, 2])
    process = int(starter.recv(20))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda number, _: os.kill(process, number))
    code = int(starter.recv(20))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextmanager
def quick_program(folder: Path) -> Iterator[Path]:
    """The path of such a program in this folder, as long as the block lasts."""
    code, address, program = folder / "small.py", folder / "starter", folder / "minwallet"
    code.write_text(SMALL_PROGRAM)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {code} {address} "$@"\n')
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen()
        Thread(target=_listen, args=[listener], daemon=True).start()
        yield program
        listener.shutdown(socket.SHUT_RDWR)


def _listen(listener: socket.socket) -> None:
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        Thread(target=_serve, args=[caller], daemon=True).start()


def _serve(caller: socket.socket) -> None:
    """Start what is asked for, and tell its number and its end."""
    with caller:
        asked, streams, _, _ = socket.recv_fds(caller, LARGEST, 3)
        arguments, environment, folder = json.loads(asked)
        stdin, stdout, stderr = streams
        process = start(arguments, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, cwd=Path(folder))
        for stream in streams:
            os.close(stream)
        caller.send(str(process.pid).encode())
        Thread(target=_follow, args=[caller.dup(), process], daemon=True).start()
        code = process.wait()
        with suppress(BrokenPipeError):
            caller.send(str(code).encode())


def _follow(caller: socket.socket, process: "Popen[str]") -> None:
    """Kill the process when whoever asked for it has gone."""
    with caller:
        if not caller.recv(1) and process.poll() is None:
            process.kill()
