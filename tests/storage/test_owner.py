"""One process owns the wallet file, and says where it can be asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from minwallet.storage import owner
from minwallet.storage.base import UnusableFile
from minwallet.storage.owner import Desk, FileOwner, find_desk, side_file_of

DESK = Desk(os.getpid(), "http://127.0.0.1:5000", "key", "http://127.0.0.1:8000", "http://127.0.0.1:8000/secret")


def _own(db: Path) -> FileOwner:
    found = FileOwner.acquire(db)
    assert isinstance(found, FileOwner)
    return found


def test_one_owner_at_a_time(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever comes second waits, and is told in the end that the file is in use."""
    monkeypatch.setattr(owner, "PATIENCE_S", 0.1)
    first = _own(db)
    with pytest.raises(UnusableFile, match="another minwallet command"):
        FileOwner.acquire(db)
    first.release()


def test_another_process_is_kept_out_too(db: Path) -> None:
    """The lock is the system's, not this process's."""
    first = _own(db)
    first.announce(DESK)
    code = (
        "import sys, pathlib; from minwallet.storage.owner import FileOwner;"
        "print(FileOwner.acquire(pathlib.Path(sys.argv[1])))"
    )
    asked = subprocess.run([sys.executable, "-c", code, str(db)], check=True, capture_output=True, text=True)
    assert asked.stdout == f"{DESK}\n"
    first.release()


def test_release_lets_the_next_one_in(db: Path) -> None:
    """And leaves nothing behind."""
    for _ in range(3):
        _own(db).release()
    assert list(db.parent.iterdir()) == []


def test_two_files_have_two_owners(tmp_path: Path) -> None:
    """Owning one says nothing about the other."""
    first, second = _own(tmp_path / "a.db"), _own(tmp_path / "b.db")
    second.release()
    first.release()


def test_a_server_is_found_by_what_it_announces(db: Path) -> None:
    """From then on whoever comes second gets its address at once; before, there is nobody to ask."""
    first = _own(db)
    assert find_desk(db) is None
    first.announce(DESK)
    assert find_desk(db) == DESK
    assert FileOwner.acquire(db) == DESK
    first.release()
    assert find_desk(db) is None


def test_a_stale_side_file_means_nothing(db: Path) -> None:
    """A killed server leaves one; the next owner takes it over, and nobody is sent to the dead one's address."""
    side_file_of(db).write_text(json.dumps(DESK._asdict()))
    assert find_desk(db)
    following = _own(db)
    assert find_desk(db) is None
    following.announce(DESK)
    assert FileOwner.acquire(db) == DESK
    following.release()
    assert not side_file_of(db).exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"text"', b'{"pid": 1}', b"\xff\xfe", b'{"strange": 1}']
)
def test_a_side_file_of_nonsense_names_nobody(db: Path, content: bytes) -> None:
    """Half-written or damaged, it is as good as none."""
    side_file_of(db).write_bytes(content)
    assert find_desk(db) is None
    _own(db).release()


def test_a_killed_owner_gives_the_file_up(db: Path) -> None:
    """The lock dies with its process."""
    code = (
        "import sys, pathlib, time; from minwallet.storage.owner import FileOwner;"
        "owner = FileOwner.acquire(pathlib.Path(sys.argv[1])); print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(db)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "mine\n"
        process.kill()
        process.wait()
    assert side_file_of(db).exists()
    _own(db).release()


def test_the_side_file_is_for_its_owners_eyes(db: Path) -> None:
    """It holds the key to the server."""
    before = os.umask(0)
    try:
        first = _own(db)
    finally:
        os.umask(before)
    assert side_file_of(db).stat().st_mode & 0o777 == 0o600
    first.release()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """With the reason and what to do."""
    for place in (Path("/proc/wallet.db"), tmp_path / "missing" / "wallet.db"):
        with pytest.raises(UnusableFile, match="--db"):
            FileOwner.acquire(place)
