"""Hostile bytes for every reader: the specifications' examples, changed by chance and, in a torture, by a fuzzer that
watches which parts of the readers it has come to.
"""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.readers import LONGEST, READERS, corpus
from tests.support import ROOT

PIECES = [
    *(b'"', b"\\", b"{", b"}", b"[", b",", b":", b"&", b"=", b"%", b"+", b"\n", b"\r\n", b"\0", b"\xff", b"\xc3"),
    *(b"-", b"0", b"1e9", b"1.0", b"18446744073709551616", b"9223372036854775808", b"null", b"true", b"NaN"),
    *(b"\\ud800", b"%00", b"%ff", b"%26", b"access_token=", b'"code":"', b"\xef\xbb\xbf", "\uff11\u200b".encode()),
]

AT_ONCE = 2
"""How many readers are tried at the same time."""

SLOW_S = 0.05
"""A reader that takes longer for a few kilobytes would hold up everybody else's calls."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """`size` seconds of each reader under a fuzzer that is guided by coverage."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        inputs = pool.map(lambda name: _fuzz(name, size, seed, folder), READERS)
        return Counter({f"inputs of {name}": number for name, number in zip(READERS, inputs, strict=True)})


def try_changed(name: str, times: int, seed: int) -> None:
    """The reader's corpus as it is, and so many changes of it by chance."""
    chance, known = random.Random(f"{name}/{seed}"), list(corpus(name))
    for number in range(len(known) + times):
        data = known[number] if number < len(known) else _change(chance, known)
        try:
            READERS[name](data)
        except BaseException as error:
            error.add_note(f"the reader of {name} was given {data!r}")
            raise


def _change(chance: random.Random, known: Sequence[bytes]) -> bytes:
    data = bytearray(chance.choice(known))
    for _ in range(chance.randint(1, 4)):
        first = chance.randint(0, len(data))
        last = min(len(data), first + chance.choice((0, 1, 2, 8, 40)))
        match chance.randrange(4):
            case 0:
                data[first:last] = b""
            case 1:
                data[first:last] = chance.choice(PIECES)
            case 2:
                data[first:first] = data[first:last] * chance.choice((1, 2, 30))
            case _:
                other = chance.choice(known)
                data[first:] = other[chance.randint(0, len(other)) :]
    return bytes(data[:LONGEST])


def _fuzz(name: str, seconds: int, seed: int, folder: Path) -> int:
    """How many inputs there were. The fuzzer ends its process at the first failure, so it has one of its own."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    for number, data in enumerate(corpus(name)):
        (place / str(number)).write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={LONGEST}",
        "-timeout=10",
        f"-artifact_prefix={place}/",
    ]
    command = [sys.executable, "-m", "tests.faults.fuzzer", name, str(place), *options, "-print_final_stats=1"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"the reader of {name}: {done.stdout[-3000:]}{done.stderr[-2000:]}"
    return int(done.stderr.partition("stat::number_of_executed_units:")[2].split()[0])
