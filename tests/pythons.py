"""Print version and path of each supported Python that there is, one of each version and the newest first.

With `--other`, without this one's version. Builds without the interpreter's lock are left out: not all libraries have
wheels for them.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)

LOOK = """
import sys, sysconfig, venv, ensurepip, sqlite3
sysconfig.get_config_var("Py_GIL_DISABLED") or print(*sys.version_info[:2])
"""


def candidates() -> Iterator[str]:
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    for place in (Path.home() / ".pyenv/versions", Path("/opt")):
        yield from (str(path) for path in sorted(place.glob("*/bin/python3"), reverse=True))


def version(python: str) -> tuple[int, ...]:
    """Its version, or nothing for one that does not run or cannot make environments."""
    done = subprocess.run([python, "-c", LOOK], check=False, capture_output=True, text=True)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


def supported() -> dict[tuple[int, ...], str]:
    """The path of the first of each version, the newest version first."""
    found: dict[tuple[int, ...], str] = {}
    for python in candidates():
        found.setdefault(version(python), python)
    return {each: found[each] for each in sorted(found, reverse=True) if OLDEST <= each <= NEWEST}


if __name__ == "__main__":
    for (major, minor), python in supported().items():
        if "--other" not in sys.argv or (major, minor) != sys.version_info[:2]:
            sys.stdout.write(f"{major}.{minor} {python}\n")
