"""The load from wrk (https://github.com/wg/wrk) with one thread."""

import re
import shutil
import subprocess
import sys
from itertools import count
from pathlib import Path

from tests.bench.sampling import Sample

LUA_SCRIPT = Path(__file__).with_name("bets.lua")

PLAYERS = 1_000

MAX_BETS = 10_000_000
"""How many bets one load may make, so that the next has ids of its own."""

_first_ids = count(2_000_000_000, MAX_BETS)


def check_installed() -> None:
    if shutil.which("wrk") is None:
        sys.exit("the bench needs wrk to make the load; install it (Debian: apt-get install wrk) and try again")


def run_wrk(url: str, connections: int, seconds: int, players: int = PLAYERS) -> Sample:
    """Send bets of this number of players in turn. An answer that is not a success stops the benchmark."""
    size = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command = ["wrk", "--latency", *size, "-s", str(LUA_SCRIPT), url, "--", str(next(_first_ids)), str(players)]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    if result.stderr or "Non-2xx" in result.stdout or "Socket errors" in result.stdout:
        sys.exit(f"the load on {url} went wrong:\n{result.stdout}{result.stderr}")
    found = re.search(r"\n\s+50%\s+(\S+).*\n\s+99%\s+(\S+).*Requests/sec:\s+(\S+)", result.stdout, re.DOTALL)
    assert found is not None, result.stdout
    if not float(found[3]):
        sys.exit(f"{url} answered nothing within {seconds} s; is the machine busy with something else?")
    return Sample(float(found[3]), _milliseconds(found[1]), _milliseconds(found[2]))


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([0-9.]+)(us|ms|s)", text)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "ms": 1, "s": 1000}[found[2]]
