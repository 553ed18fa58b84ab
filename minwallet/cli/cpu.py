"""The processors of this machine."""

import os


def available_cpus() -> int:
    """Return the number of processors that this process and its children may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
