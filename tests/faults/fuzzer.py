"""A process that fuzzes one reader, until it fails: `python -m tests.faults.fuzzer READER CORPUS [OPTIONS]`."""

import sys
import time

import atheris  # type: ignore[import-untyped]  # it has no types

# What is to be watched has to be loaded under its eyes.
with atheris.instrument_imports(include=["minwallet"], enable_loader_override=False):
    from tests.faults.fuzz import MAX_READ_S
    from tests.faults.fuzz_targets import FUZZ_TARGETS

target = FUZZ_TARGETS[sys.argv[1]]


def run_input(data: bytes) -> None:
    """Read the bytes; a failure shows them, and so does a reader that takes long."""
    begun = time.process_time()
    try:
        target(data)
    except BaseException as error:
        error.add_note(f"it was given {data!r}")
        raise
    took = time.process_time() - begun
    # Being watched takes its time too, and now and then memory is tidied up.
    assert took < MAX_READ_S * 20, f"{took:.2f} s for {data!r}"


atheris.Setup(["fuzzer", *sys.argv[2:]], run_input)
atheris.Fuzz()
