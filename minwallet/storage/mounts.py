"""The mounts that this process sees, from `/proc/self/mountinfo`. Systems other than Linux do not have this file."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

MOUNTINFO = Path("/proc/self/mountinfo")

_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """A mounted file system, folder or file: the path where it is visible, and the type of its file system."""

    point: Path
    file_system: str


def parse_mountinfo(content: bytes) -> Iterator[Mount]:
    """Yield the mounts of a mountinfo file, in the order of mounting.

    The mount point is the fifth field. Spaces, tabs, line breaks and backslashes in it are written as octal escapes. A
    variable number of fields follows, then a hyphen and the type of the file system.
    """
    for line in content.split(b"\n"):
        head, separator, tail = line.partition(b" - ")
        if separator:
            point = _ESCAPE.sub(lambda found: bytes([int(found[1], 8)]), head.split(b" ")[4])
            yield Mount(Path(os.fsdecode(point)), os.fsdecode(tail.split(b" ")[0]))


def read_mounts() -> list[Mount]:
    """Return the current mounts, or none if the system does not provide them."""
    try:
        return [*parse_mountinfo(MOUNTINFO.read_bytes())]
    except FileNotFoundError:
        return []


def find_mount_point(paths: Iterable[Path]) -> Path | None:
    """Return the first of the paths at which something is mounted, such as a single file by a bind mount, or None."""
    points = {mount.point for mount in read_mounts()}
    return next((path for path in paths if Path(os.path.realpath(path)) in points), None)


def detect_file_system(folder: Path) -> str:
    """Return the type of the folder's file system, or "" if the system does not provide it."""
    device, real_path = folder.stat().st_dev, Path(os.path.realpath(folder))
    file_system = ""
    for mount in read_mounts():
        if mount.point in (real_path, *real_path.parents) and _read_device(mount.point) == device:
            file_system = mount.file_system
    return file_system


def _read_device(path: Path) -> int | None:
    try:
        return path.stat().st_dev
    except OSError:
        return None
