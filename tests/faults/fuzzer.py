"""A process that fuzzes one parser until it fails: `python -m tests.faults.fuzzer READER CORPUS [OPTIONS]`."""

import sys
import time

import atheris  # type: ignore[import-untyped]  # it has no types

# The fuzzer instruments modules while they are imported.
with atheris.instrument_imports(include=["minwallet"], enable_loader_override=False):
    from tests.faults.fuzz import MAX_READ_S
    from tests.faults.fuzz_targets import FUZZ_TARGETS

target = FUZZ_TARGETS[sys.argv[1]]


def run_input(data: bytes) -> None:
    """Run the parser on the bytes. Print them if it fails or takes long."""
    begun = time.process_time()
    try:
        target(data)
    except BaseException as error:
        error.add_note(f"it was given {data!r}")
        raise
    took = time.process_time() - begun
    # Instrumentation and garbage collection take time too.
    assert took < MAX_READ_S * 20, f"{took:.2f} s for {data!r}"


atheris.Setup(["fuzzer", *sys.argv[2:]], run_input)
atheris.Fuzz()
