"""Tests of the lock on a wallet file and of the published endpoint."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minwallet.storage import file_lock
from minwallet.storage.errors import DatabaseUnusable
from minwallet.storage.file_lock import ControlEndpoint, DatabaseLock, lock_file_path, read_control_endpoint

ENDPOINT = ControlEndpoint(
    os.getpid(), "http://127.0.0.1:5000", "key", "http://127.0.0.1:8000", "http://127.0.0.1:8000/secret"
)


def _acquire(db: Path) -> DatabaseLock:
    found = DatabaseLock.acquire(db)
    assert isinstance(found, DatabaseLock)
    return found


def test_the_lock_has_one_holder(db: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second holder waits, and then fails because the file is in use."""
    monkeypatch.setattr(file_lock, "LOCK_TIMEOUT_S", 0.1)
    first = _acquire(db)
    with pytest.raises(DatabaseUnusable, match="another minwallet command"):
        DatabaseLock.acquire(db)
    first.release()


def test_another_process_is_kept_out_too(db: Path) -> None:
    """The lock is effective between processes."""
    first = _acquire(db)
    first.publish_endpoint(ENDPOINT)
    code = (
        "import sys, pathlib; from minwallet.storage.file_lock import DatabaseLock;"
        "print(DatabaseLock.acquire(pathlib.Path(sys.argv[1])))"
    )
    asked = subprocess.run([sys.executable, "-c", code, str(db)], check=True, capture_output=True, text=True)
    assert asked.stdout == f"{ENDPOINT}\n"
    first.release()


def test_release_lets_the_next_one_in(db: Path) -> None:
    """Release deletes the lock file."""
    for _ in range(3):
        _acquire(db).release()
    assert list(db.parent.iterdir()) == []


def test_two_files_have_two_locks(tmp_path: Path) -> None:
    """A lock on one file does not lock another."""
    first, second = _acquire(tmp_path / "a.db"), _acquire(tmp_path / "b.db")
    second.release()
    first.release()


def test_a_server_is_found_by_its_published_endpoint(db: Path) -> None:
    """After the publication a second process gets the endpoint immediately. Before, there is none."""
    first = _acquire(db)
    assert read_control_endpoint(db) is None
    first.publish_endpoint(ENDPOINT)
    assert read_control_endpoint(db) == ENDPOINT
    assert DatabaseLock.acquire(db) == ENDPOINT
    first.release()
    assert read_control_endpoint(db) is None


def test_a_stale_lock_file_is_ignored(db: Path) -> None:
    """A killed server leaves a lock file. The next owner takes it over, and the old endpoint is gone."""
    lock_file_path(db).write_text(json.dumps(ENDPOINT._asdict()))
    assert read_control_endpoint(db)
    following = _acquire(db)
    assert read_control_endpoint(db) is None
    following.publish_endpoint(ENDPOINT)
    assert DatabaseLock.acquire(db) == ENDPOINT
    following.release()
    assert not lock_file_path(db).exists()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'"text"', b'{"pid": 1}', b"\xff\xfe", b'{"strange": 1}']
)
def test_an_invalid_lock_file_names_no_server(db: Path, content: bytes) -> None:
    """A partly written or damaged lock file is treated as missing."""
    lock_file_path(db).write_bytes(content)
    assert read_control_endpoint(db) is None
    _acquire(db).release()


def test_killing_the_holder_releases_the_lock(db: Path) -> None:
    """The kernel releases the lock of a killed process."""
    code = (
        "import sys, pathlib, time; from minwallet.storage.file_lock import DatabaseLock;"
        "lock = DatabaseLock.acquire(pathlib.Path(sys.argv[1])); print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(db)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "mine\n"
        process.kill()
        process.wait()
    assert lock_file_path(db).exists()
    _acquire(db).release()


def test_the_lock_file_is_private(db: Path) -> None:
    """The file has mode 0600, as it contains the server's key."""
    before = os.umask(0)
    try:
        first = _acquire(db)
    finally:
        os.umask(before)
    assert lock_file_path(db).stat().st_mode & 0o777 == 0o600
    first.release()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """The message has the reason and the action."""
    for place in (Path("/proc/wallet.db"), tmp_path / "missing" / "wallet.db"):
        with pytest.raises(DatabaseUnusable, match="--db"):
            DatabaseLock.acquire(place)


def _assert_lock_file_refused(db: Path, words: str) -> None:
    """Check that neither the lock nor an endpoint is taken from the lock file, immediately."""
    started = time.monotonic()
    with pytest.raises(DatabaseUnusable, match=words):
        DatabaseLock.acquire(db)
    assert read_control_endpoint(db) is None
    assert time.monotonic() - started < 2


def test_a_key_is_written_into_a_private_file_only(db: Path) -> None:
    """A left-over that others can read, and may have open, is replaced by a new file of mode 0600."""
    lock_file_path(db).write_text("")
    lock_file_path(db).chmod(0o644)
    with lock_file_path(db).open() as reader:
        lock = _acquire(db)
        lock.publish_endpoint(ENDPOINT)
        assert reader.read() == ""
    assert lock_file_path(db).stat().st_mode & 0o777 == 0o600
    lock.release()


def test_a_lock_file_that_is_a_link_is_refused(db: Path, tmp_path: Path) -> None:
    """Neither the target of a symbolic link nor a file with a second name is truncated or written."""
    target = tmp_path / "target"
    target.write_text(json.dumps(ENDPOINT._asdict()))
    lock_file_path(db).symlink_to(target)
    _assert_lock_file_refused(db, "symbolic link")
    lock_file_path(db).unlink()
    lock_file_path(db).symlink_to(tmp_path / "missing")
    _assert_lock_file_refused(db, "symbolic link")
    lock_file_path(db).unlink()
    lock_file_path(db).hardlink_to(target)
    _assert_lock_file_refused(db, "second name")
    assert target.read_text() == json.dumps(ENDPOINT._asdict())


def test_a_lock_file_that_is_not_a_file_is_refused(db: Path) -> None:
    """A FIFO does not block, and a folder is no reason for a traceback."""
    os.mkfifo(lock_file_path(db))
    _assert_lock_file_refused(db, "not a regular file")
    lock_file_path(db).unlink()
    lock_file_path(db).mkdir()
    _assert_lock_file_refused(db, "Is a directory")


def test_an_endpoint_that_others_can_write_is_ignored(db: Path) -> None:
    """Otherwise another user could receive an admin's commands."""
    lock_file_path(db).write_text(json.dumps(ENDPOINT._asdict()))
    lock_file_path(db).chmod(0o620)
    assert read_control_endpoint(db) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_lock_file_of_another_user_is_refused(db: Path) -> None:
    """A lock file belongs to this user, or to the owner of the wallet file, whose server root may stop or ask."""
    lock_file_path(db).write_text(json.dumps(ENDPOINT._asdict()))
    os.chown(lock_file_path(db), 12345, 12345)
    _assert_lock_file_refused(db, "another user")
    db.touch()
    os.chown(db, 12345, 12345)
    assert read_control_endpoint(db) == ENDPOINT
    lock_file_path(db).unlink()
    lock = _acquire(db)
    status = lock_file_path(db).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (12345, 12345, 0o600)
    lock.release()
