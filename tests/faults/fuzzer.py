"""A process that fuzzes one reader, until it fails: `python -m tests.faults.fuzzer READER CORPUS [OPTIONS]`."""

import sys
import time

import atheris  # type: ignore[import-untyped]  # it has no types

# What is to be watched has to be loaded under its eyes.
with atheris.instrument_imports(include=["minwallet"], enable_loader_override=False):
    from tests.faults.fuzz import SLOW_S
    from tests.faults.readers import READERS

reader = READERS[sys.argv[1]]


def watched(data: bytes) -> None:
    """Read the bytes; a failure shows them, and so does a reader that takes long."""
    begun = time.process_time()
    try:
        reader(data)
    except BaseException as error:
        error.add_note(f"it was given {data!r}")
        raise
    took = time.process_time() - begun
    # Being watched takes its time too, and now and then memory is tidied up.
    assert took < SLOW_S * 20, f"{took:.2f} s for {data!r}"


atheris.Setup(["fuzzer", *sys.argv[2:]], watched)
atheris.Fuzz()
