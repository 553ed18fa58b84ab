"""`make bench`: bets per second of minwallet beside an empty endpoint and a plain wallet, in one run.

Each is measured several times in turn, so that a machine whose speed drifts drifts for all of them; what counts are the
medians and their ratios. The load comes from wrk (https://github.com/wg/wrk), which must be installed.
"""

import argparse
import csv
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
CONNECTIONS, PLAYERS = 64, 1_000
BINARY = Path(sys.executable).with_name("minwallet")


class Sample(NamedTuple):
    per_second: float
    p50_ms: float
    p99_ms: float


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--seconds", type=int, default=5)
    options = arguments.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("the bench needs wrk to make the load; install it (Debian: apt-get install wrk) and try again")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="minwallet-bench-")))
        seed_players(folder / "w.db", folder / "j.db")
        serve = [str(BINARY), "--db", str(folder / "w.db"), "serve", "--port"]
        unwritten = ["env", "MINWALLET_JOURNAL_DAYS=0", str(BINARY), "--db", str(folder / "j.db"), "serve", "--port"]
        servers = {
            "empty Starlette endpoint": [sys.executable, str(HERE / "empty.py"), "8701"],
            "minwallet, synchronous=FULL": [*serve, "8702"],
            "minwallet, without the journal": [*unwritten, "8703"],
            "plain wallet, a commit per bet": [sys.executable, str(HERE / "plain.py"), "8704", str(folder / "p.db")],
        }
        ports = dict(zip(servers, (8701, 8702, 8703, 8704), strict=True))
        for name, command in servers.items():
            stack.enter_context(server(command, ports[name], folder / f"{ports[name]}.log"))
        samples: dict[str, list[Sample]] = {name: [] for name in servers}
        ids = count(1)
        for number in range(options.rounds):
            for name, port in ports.items():
                print(f"round {number + 1} of {options.rounds}: {name} ...", end=" ", file=sys.stderr, flush=True)
                samples[name].append(load(port, options.seconds, next(ids) * 10**9))
                print(f"{samples[name][-1].per_second:,.0f}/s", file=sys.stderr)
    print_table(samples)


def seed_players(*databases: Path) -> None:
    file = databases[0].with_name("players.csv")
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["player_id", "currency", "balance", "token"])
        writer.writerows((f"bench_{n}", "USD", "10000000", f"bench_{n}") for n in range(PLAYERS))
    for database in databases:
        subprocess.run([BINARY, "--db", database, "seed", file], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def server(command: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("w") as stream, subprocess.Popen(command, stdout=stream, stderr=stream) as process:
        try:
            wait_until_up(port, process)
            yield
        finally:
            process.terminate()


def wait_until_up(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(100):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").close()
        except urllib.error.HTTPError:
            return  # it answers, if only that it has no such page
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
        else:
            return
    sys.exit(f"{process.args!r} did not start")


def load(port: int, seconds: int, first_id: int) -> Sample:
    url = f"http://127.0.0.1:{port}/wallet"
    size = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    command = ["wrk", "--latency", *size, "-s", str(HERE / "bets.lua"), url, "--", str(first_id)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    if result.stderr or "Non-2xx" in result.stdout or "Socket errors" in result.stdout:
        sys.exit(f"the load on port {port} went wrong:\n{result.stdout}{result.stderr}")
    found = re.search(r"\n\s+50%\s+(\S+).*\n\s+99%\s+(\S+).*Requests/sec:\s+(\S+)", result.stdout, re.DOTALL)
    assert found is not None, result.stdout
    return Sample(float(found[3]), milliseconds(found[1]), milliseconds(found[2]))


def milliseconds(text: str) -> float:
    found = re.fullmatch(r"([0-9.]+)(us|ms|s)", text)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]


def print_table(samples: dict[str, list[Sample]]) -> None:
    empty = next(iter(samples.values()))
    print(f"\n{CONNECTIONS} connections, medians of {len(empty)} alternating runs\n")
    print("| server | requests/s | ÷ empty | p50 ms | p99 ms |")
    print("|---|---|---|---|---|")
    for name, runs in samples.items():
        rate, p50, p99 = (statistics.median(values) for values in zip(*runs, strict=True))
        ratio = statistics.median(run.per_second / base.per_second for run, base in zip(runs, empty, strict=True))
        print(f"| {name} | {rate:,.0f} | {ratio:.2f} | {p50:.1f} | {p99:.1f} |")


if __name__ == "__main__":
    main()
