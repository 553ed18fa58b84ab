"""Descriptions of the machine on which the results were measured."""

import os
import platform
import re
import sqlite3
import subprocess
import time
from pathlib import Path

from minwallet import __version__

ROOT = Path(__file__).parents[2]


def describe_machine(folder: Path, *more: str) -> str:
    """Return lines about the machine, the disk of this folder, and the versions of all programs."""
    parts = [
        f"{_read_processor()}, {os.cpu_count()} cores",
        f"{platform.system()} {platform.release()}",
        f"{_find_file_system(folder)}",
        f"Python {platform.python_version()}",
        f"SQLite {sqlite3.sqlite_version}",
        *more,
        f"minwallet {__version__} ({_read_commit()})",
        time.strftime("%Y-%m-%d", time.gmtime()),
    ]
    return " · ".join(parts)


def _read_processor() -> str:
    file = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*: (.+)$", file.read_text(), re.MULTILINE) if file.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _find_file_system(folder: Path) -> str:
    """Return the type of the file system with the longest mount point above the folder."""
    file = Path("/proc/self/mounts")
    if not file.exists():
        return "a file system of its own"
    mounts = [line.split()[1:3] for line in file.read_text().splitlines()]
    fitting = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(fitting)[1]


def _read_commit() -> str:
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() or "no clone"
