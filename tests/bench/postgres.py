"""A PostgreSQL cluster for a benchmark, with default settings and reachable through its socket only."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench.sampling import DependencyMissing, Sample

SCALE = 10
"""pgbench's million accounts: players enough that two of them rarely wait for the same row."""

START_TIMEOUT_S = 60


class PostgresCluster:
    """A running cluster with pgbench's tables."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._connection_options = ["-h", str(folder), "-U", "bench"]

    @property
    def version(self) -> str:
        return self.run("postgres", "--version").strip()

    def is_ready(self) -> bool:
        command = [str(self._programs / "pg_isready"), *self._connection_options, "-q"]
        return subprocess.run(command, check=False).returncode == 0

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL, and return its output."""
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True, **_process_user())
        return str(done.stdout)

    def initialize(self) -> None:
        self.run("pgbench", *self._connection_options, "-i", "-q", "-s", str(SCALE), "postgres")

    def run_pgbench(self, connections: int, seconds: int) -> Sample:
        """Run pgbench's simple transaction: change and read one balance, and add one row."""
        size = ["-c", str(connections), "-j", "2", "-T", str(seconds)]
        said = self.run("pgbench", *self._connection_options, "-N", "-M", "prepared", "-n", *size, "postgres")
        found = re.search(r"tps = ([0-9.]+)", said)
        assert found is not None, said
        return Sample(float(found[1]))


@contextmanager
def run_cluster(where: Path) -> Iterator[PostgresCluster]:
    """Run a new cluster on the disk of this folder until the end of the block. Raise DependencyMissing without
    PostgreSQL."""
    programs = _find_programs()
    with tempfile.TemporaryDirectory(prefix="minwallet-bench-pg-", dir=where) as name:
        folder = Path(name)
        if user := _process_user().get("user"):
            shutil.chown(folder, user)
        made = PostgresCluster(programs, folder)
        made.run("initdb", "-D", f"{folder}/data", "-U", "bench", "-A", "trust", "--no-instructions")
        command = [f"{programs}/postgres", "-D", f"{folder}/data", "-k", name, "-c", "listen_addresses="]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **_process_user())
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not made.is_ready():
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.1)
            made.initialize()
            yield made
        finally:
            process.send_signal(signal.SIGINT)  # a fast shutdown: end all sessions and write all data
            process.wait()


def _find_programs() -> Path:
    """Return the folder with the programs of the newest installed PostgreSQL."""
    if found := sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name)):
        folder = found[-1]
    elif initdb := shutil.which("initdb"):
        folder = Path(initdb).resolve().parent
    else:
        raise DependencyMissing("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    if missing := [name for name in ("initdb", "postgres", "pgbench") if not (folder / name).exists()]:
        raise DependencyMissing(f"{folder} has no {missing[0]} (Debian: apt-get install postgresql postgresql-contrib)")
    return folder


def _process_user() -> dict[str, Any]:
    """Return the user of PostgreSQL's package if this process is root, because PostgreSQL refuses to run as root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
