"""What makes a file's bytes and its name durable."""

import os
from pathlib import Path


def sync(place: Path) -> None:
    """Have a file's bytes, or a folder's names, on the disk."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
