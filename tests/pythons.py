"""Print version and path of each supported Python on this machine, one of each version, newest first.

With `--other`, leave out this one's version. Free-threaded builds are left out, because not all libraries have wheels
for them.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)

PROBE_SCRIPT = """
import os, sys, sysconfig, venv, ensurepip, sqlite3
if not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(*sys.version_info[:2], os.path.realpath(sys.executable))
"""


def find_candidates() -> Iterator[str]:
    yield sys.executable
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    for place in (Path.home() / ".pyenv/versions", Path("/opt")):
        yield from (str(path) for path in sorted(place.glob("*/bin/python3"), reverse=True))


def probe(python: str) -> tuple[tuple[int, int], str] | None:
    """Return the version and the path of the Python, or None if it does not run or cannot create environments."""
    done = subprocess.run([python, "-c", PROBE_SCRIPT], check=False, capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout:
        return None
    major, minor, path = done.stdout.rstrip("\n").split(" ", 2)
    return (int(major), int(minor)), path


def find_supported() -> dict[tuple[int, int], str]:
    """Return the path of the first Python of each version, newest version first."""
    paths: dict[tuple[int, int], str] = {}
    for version, path in filter(None, map(probe, find_candidates())):
        if OLDEST <= version <= NEWEST:
            paths.setdefault(version, path)
    return dict(sorted(paths.items(), reverse=True))


if __name__ == "__main__":
    for (major, minor), python in find_supported().items():
        if "--other" not in sys.argv or (major, minor) != sys.version_info[:2]:
            sys.stdout.write(f"{major}.{minor} {python}\n")
