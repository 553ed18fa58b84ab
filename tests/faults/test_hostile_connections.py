"""The memory of hostile connections."""

import sys
from pathlib import Path

import pytest

from tests.faults.hostile_connections import HOSTILE_KINDS, MAX_MEMORY_KB, measure_memory
from tests.support import running_server


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory in a file")
@pytest.mark.parametrize("name", HOSTILE_KINDS)
def test_a_hostile_connection_takes_little_memory(tmp_path: Path, name: str) -> None:
    """Whatever a connection sends and does not read, it takes up to 200 kB of the server's memory."""
    with running_server(tmp_path / "wallet.db") as server:
        memory_kb = measure_memory(server, name)
        print(f"{name}: {memory_kb:.0f} kB")
        assert memory_kb < MAX_MEMORY_KB
        assert server.http.get("/readyz").status_code == 200
        assert server.stop() == 0
        assert "Traceback" not in server.log.read_text()
