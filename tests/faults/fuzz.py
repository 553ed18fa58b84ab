"""Hostile bytes for every parser: examples of the specifications, mutated at random and, in a long run, by a fuzzer
that is guided by coverage."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.fuzz_targets import FUZZ_TARGETS, MAX_INPUT_BYTES, seed_corpus
from tests.support import ROOT

DICTIONARY = [
    *(b'"', b"\\", b"{", b"}", b"[", b",", b":", b"&", b"=", b"%", b"+", b"\n", b"\r\n", b"\0", b"\xff", b"\xc3"),
    *(b"-", b"0", b"1e9", b"1.0", b"18446744073709551616", b"9223372036854775808", b"null", b"true", b"NaN"),
    *(b"\\ud800", b"%00", b"%ff", b"%26", b"access_token=", b'"code":"', b"\xef\xbb\xbf", "\uff11\u200b".encode()),
]

PARALLEL_FUZZERS = 2
"""The number of parsers that are fuzzed at the same time."""

MAX_READ_S = 0.05
"""The maximum duration for a few kilobytes; a slower parser would delay all other calls."""


def torture(size: int, seed: int, folder: Path) -> Counter[str]:
    """Run a coverage-guided fuzzer for `size` seconds on each parser."""
    with ThreadPoolExecutor(PARALLEL_FUZZERS) as pool:
        inputs = pool.map(lambda name: _run_fuzzer(name, size, seed, folder), FUZZ_TARGETS)
        return Counter({f"inputs of {name}": number for name, number in zip(FUZZ_TARGETS, inputs, strict=True)})


def run_mutations(name: str, times: int, seed: int) -> None:
    """Run the parser on its corpus, and on this number of random mutations of it."""
    chance, known = random.Random(f"{name}/{seed}"), list(seed_corpus(name))
    for number in range(len(known) + times):
        data = known[number] if number < len(known) else _mutate(chance, known)
        try:
            FUZZ_TARGETS[name](data)
        except BaseException as error:
            error.add_note(f"the reader of {name} was given {data!r}")
            raise


def _mutate(chance: random.Random, samples: Sequence[bytes]) -> bytes:
    data = bytearray(chance.choice(samples))
    for _ in range(chance.randint(1, 4)):
        first = chance.randint(0, len(data))
        last = min(len(data), first + chance.choice((0, 1, 2, 8, 40)))
        match chance.randrange(4):
            case 0:
                data[first:last] = b""
            case 1:
                data[first:last] = chance.choice(DICTIONARY)
            case 2:
                data[first:first] = data[first:last] * chance.choice((1, 2, 30))
            case _:
                other = chance.choice(samples)
                data[first:] = other[chance.randint(0, len(other)) :]
    return bytes(data[:MAX_INPUT_BYTES])


def _run_fuzzer(name: str, seconds: int, seed: int, folder: Path) -> int:
    """Run the fuzzer in its own process, because it exits at the first failure, and return the number of inputs."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    for number, data in enumerate(seed_corpus(name)):
        (place / str(number)).write_bytes(data)
    options = [
        f"-max_total_time={seconds}",
        f"-seed={seed}",
        f"-max_len={MAX_INPUT_BYTES}",
        "-timeout=10",
        f"-artifact_prefix={place}/",
    ]
    command = [sys.executable, "-m", "tests.faults.fuzzer", name, str(place), *options, "-print_final_stats=1"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"the reader of {name}: {done.stdout[-3000:]}{done.stderr[-2000:]}"
    return int(done.stderr.partition("stat::number_of_executed_units:")[2].split()[0])
