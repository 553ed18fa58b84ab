"""Print the path of a supported Python other than this one, the newest there is, or nothing."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

OLDEST, NEWEST = (3, 11), (3, 14)


def candidates() -> Iterator[str]:
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        if found := shutil.which(f"python3.{minor}"):
            yield found
    for place in (Path.home() / ".pyenv/versions", Path("/opt")):
        yield from (str(path) for path in sorted(place.glob("*/bin/python3"), reverse=True))


def version(python: str) -> tuple[int, ...]:
    """Its version, or nothing for one that does not run or cannot make environments."""
    code = "import sys, venv, ensurepip, sqlite3; print(*sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], check=False, capture_output=True, text=True)
    return tuple(map(int, done.stdout.split())) if done.returncode == 0 else ()


if __name__ == "__main__":
    found = {python: version(python) for python in candidates()}
    others = [python for python, has in found.items() if OLDEST <= has <= NEWEST and has != sys.version_info[:2]]
    if others:
        sys.stdout.write(max(others, key=lambda python: found[python]) + "\n")
