"""What a command may use of the machine that it runs on."""

import os


def available_cpus() -> int:
    """How many this process, and with it those that it starts, may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
