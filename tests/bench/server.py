"""A server on the large file with the requests of its users, and the commands beside it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx2

from minwallet.bench.server_process import run_server
from minwallet.storage.file_lock import ControlEndpoint
from tests.bench.sampling import Sample
from tests.support import InProcessCli

KIB = 1024


class BenchServer(NamedTuple):
    """A running server, an admin's session in its back office, and a key of its admin API."""

    endpoint: ControlEndpoint
    browser: httpx2.Client
    api_client: httpx2.Client

    def time_page(self, path: str) -> Sample:
        """Request a page, and return the duration until it is complete."""
        return _time_request(self.browser, path)

    def time_answer(self, path: str, **parameters: str) -> Sample:
        """Request an answer of the admin API, and return its duration."""
        return _time_request(self.api_client, f"/admin/api/v1{path}", **parameters)


@contextmanager
def run_bench_server(file: Path) -> Iterator[BenchServer]:
    """Run a server on the file until the end of the block. The server checks the file for damage while it serves."""
    cli = InProcessCli(file)
    with run_server(file, file.with_suffix(".log")) as desk:
        wait_until_ready(desk)
        headers = {"origin": desk.serves}
        with httpx2.Client(base_url=desk.serves, headers=headers, trust_env=False, timeout=60) as person:
            link = urlsplit(cli("admin", "link", "--name", "bench")["url"])
            person.post("/admin/enter", data={"token": parse_qs(link.query)["token"][0]})
            key = cli("key", "add", "bench", "--scope", "read")["key"]
            headers = {"authorization": f"Bearer {key}"}
            with httpx2.Client(base_url=desk.serves, headers=headers, trust_env=False, timeout=60) as program:
                yield BenchServer(desk, person, program)


def measure_start(file: Path) -> Sample:
    """Return a sample of the time from the start of the process until the server is ready."""
    started = time.perf_counter()
    with run_server(file, file.with_suffix(".log")) as desk:
        wait_until_ready(desk)
        return Sample(p50_ms=(time.perf_counter() - started) * 1000)


def wait_until_ready(desk: ControlEndpoint) -> None:
    # The socket listens before the server announces itself, so the first request waits until it is ready.
    answer = httpx2.get(f"{desk.serves}/readyz", trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text


class MemoryMonitor:
    """The maximum memory of a process during the block, as the system counts it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self.mb = 0.0

    def __enter__(self) -> "MemoryMonitor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _poll(self) -> None:
        command = ["ps", "-o", "rss=", "-p", str(self._pid)]
        while not self._ended.wait(0.2):
            said = subprocess.run(command, check=False, capture_output=True, text=True).stdout
            self.mb = max(self.mb, int(said or 0) * KIB / 10**6)


def measure_command(file: Path, *arguments: str) -> tuple[float, float]:
    """Run a command, and return its seconds and MB."""
    command = [sys.executable, "-m", "minwallet", "--db", str(file), *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    with process.stderr:
        said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, said.decode()
    unit = 1 if sys.platform == "darwin" else KIB
    return time.perf_counter() - started, usage.ru_maxrss * unit / 10**6


def _time_request(client: httpx2.Client, path: str, **parameters: str) -> Sample:
    started = time.perf_counter()
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return Sample(p50_ms=(time.perf_counter() - started) * 1000)
