"""The load from wrk (https://github.com/wg/wrk) with one thread."""

import re
import shutil
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

from minwallet.ledger.commands import Bet
from minwallet.protocols.wire import Call
from tests.bench.sampling import Sample
from tests.orbit_package import SECRET, load_orbit

LUA_SCRIPT, SIGNED_LUA_SCRIPT = (Path(__file__).with_name(name) for name in ("bets.lua", "orbit.lua"))

PLAYERS = 1_000

MAX_BETS = 10_000_000
"""How many bets one load may make, so that the next has ids of its own."""

MAX_SIGNED_PER_S = 15_000
"""The number of signed bets that are prepared for each second of a load."""

_first_ids = count(2_000_000_000, MAX_BETS)


def check_installed() -> None:
    if shutil.which("wrk") is None:
        sys.exit("the bench needs wrk to make the load; install it (Debian: apt-get install wrk) and try again")


def run_wrk(url: str, connections: int, seconds: int, players: int = PLAYERS) -> Sample:
    """Send bets of this number of players in turn. An answer that is not a success stops the benchmark."""
    return _run_script(LUA_SCRIPT, url, connections, seconds, str(next(_first_ids)), str(players))


def run_signed_wrk(url: str, connections: int, seconds: int, folder: Path) -> Sample:
    """Send signed bets of orbit, which are written to the folder first. See `run_wrk`."""
    protocol, first, now_ms = load_orbit(), next(_first_ids), time.time_ns() // 10**6
    assert protocol.signature is not None
    with (file := folder / "signed.txt").open("wb") as stream:
        for number in range(first, first + seconds * MAX_SIGNED_PER_S):
            player, id_ = f"bench_{number % PLAYERS}", str(number)
            call = Call("bet", player, Bet(id_, 1, id_, "1012"), player, "USD")
            request = protocol.signature.sign(protocol.build_request(call, 0), SECRET, now_ms)
            headers = dict(request.headers)
            lines = [headers[b"x-orbit-%b" % name] for name in (b"timestamp", b"nonce", b"sign")]
            stream.write(b"\n".join([*lines, request.body, b""]))
    return _run_script(SIGNED_LUA_SCRIPT, url, connections, seconds, str(file))


def _run_script(script: Path, url: str, connections: int, seconds: int, *arguments: str) -> Sample:
    size = ["-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    command = ["wrk", "--latency", *size, "-s", str(script), url, "--", *arguments]
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
