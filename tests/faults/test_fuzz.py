"""Hostile bytes for all parsers."""

import time

import pytest

from tests.faults.fuzz import MAX_READ_S, run_mutations
from tests.faults.fuzz_targets import FUZZ_TARGETS, MAX_INPUT_BYTES
from tests.faults.harness import SEED

FILE_TARGETS = {"seed", "lock file", "settings", "settings files"}
"""Parsers of files that only the operator can write. Each input is a file or an environment, which takes longer."""


@pytest.mark.parametrize("name", FUZZ_TARGETS)
def test_any_bytes_are_parsed_or_rejected(name: str) -> None:
    """The result is that of a simple parser, or an error with a message."""
    run_mutations(name, 500 if name in FILE_TARGETS else 10_000, SEED)


@pytest.mark.parametrize("name", ["wallet-v2", "vela"])
@pytest.mark.parametrize(
    "piece",
    [b"[", b'{"a":', b'"', b"9", b"\\u0041", b"&a=1", b"%41", b"access_token=a&", b'"id":1,', b"\xff", b"1e1,"],
)
def test_a_long_request_is_parsed_quickly(name: str, piece: bytes) -> None:
    """The longest possible request is parsed or rejected before it delays other calls."""
    data = (b'{"x":' if name == "wallet-v2" else b"\0") + piece * (MAX_INPUT_BYTES // len(piece) - 2)
    took = []
    for _ in range(3):
        begun = time.process_time()
        FUZZ_TARGETS[name](data)
        took.append(time.process_time() - begun)
    assert min(took) < MAX_READ_S
