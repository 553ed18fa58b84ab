"""`minwallet` on the PATH of a page, started quickly by tests/forkserver.py.

The small program hands over its arguments, environment, folder and streams, passes signals on, and ends like the real
one. If it is killed, the real one is killed too.
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

from tests.forkserver import MAX_REQUEST_BYTES, start_minwallet

CLIENT_PROGRAM = """
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
def fast_program(folder: Path) -> Iterator[Path]:
    """Yield the path of such a program in this folder, for the duration of the block."""
    code, address, program = folder / "small.py", folder / "starter", folder / "minwallet"
    code.write_text(CLIENT_PROGRAM)
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {code} {address} "$@"\n')
    program.chmod(0o755)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(address))
        listener.listen()
        Thread(target=_accept_clients, args=[listener], daemon=True).start()
        yield program
        listener.shutdown(socket.SHUT_RDWR)


def _accept_clients(listener: socket.socket) -> None:
    while True:
        try:
            caller, _ = listener.accept()
        except OSError:
            return
        Thread(target=_serve_client, args=[caller], daemon=True).start()


def _serve_client(caller: socket.socket) -> None:
    """Start the requested process, and report its number and its end."""
    with caller:
        request, streams, _, _ = socket.recv_fds(caller, MAX_REQUEST_BYTES, 3)
        arguments, environment, folder = json.loads(request)
        stdin, stdout, stderr = streams
        process = start_minwallet(
            arguments, stdin=stdin, stdout=stdout, stderr=stderr, env=environment, cwd=Path(folder)
        )
        for stream in streams:
            os.close(stream)
        caller.send(str(process.pid).encode())
        Thread(target=_kill_when_abandoned, args=[caller.dup(), process], daemon=True).start()
        code = process.wait()
        with suppress(BrokenPipeError):
            caller.send(str(code).encode())


def _kill_when_abandoned(caller: socket.socket, process: "Popen[str]") -> None:
    """Kill the process when its requester is gone."""
    with caller:
        if not caller.recv(1) and process.poll() is None:
            process.kill()
