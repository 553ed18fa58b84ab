"""Automatic backups: when they are made, removed and cancelled."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from minwallet.operations import maintenance
from minwallet.operations.maintenance import run_backups
from minwallet.storage.errors import StoreError
from minwallet.wallet.backup_status import BackupStatus

pytestmark = pytest.mark.anyio

ProgressCallback = Callable[[int, int], None]


async def _wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 what is waited for happens in a thread and in a folder
            await asyncio.sleep(0.005)


def _list_folder(folder: Path) -> set[Path]:
    return set(folder.iterdir())


def _start_backups(
    make: maintenance.MakeBackup, folder: Path, status: BackupStatus, *, keep: int = 2, now_ms: int = 0
) -> "asyncio.Task[None]":
    return asyncio.create_task(
        run_backups(make, folder, "w", interval_s=60, keep=keep, clock_ms=lambda: now_ms, status=status)
    )


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])


async def test_a_backup_is_made_when_the_newest_is_old_enough(tmp_path: Path) -> None:
    """The age is read from its name, so a restart does not make another."""
    now_s = 1_000_000
    made: list[str] = []
    status = BackupStatus(lambda: now_s * 1000)

    def make(copy: Path, tell: ProgressCallback) -> None:
        tell(1, 1)
        copy.write_text("")
        made.append(copy.name)

    keeping = asyncio.create_task(
        run_backups(make, tmp_path, "w", interval_s=1, keep=2, clock_ms=lambda: now_s * 1000, status=status)
    )
    for count in (1, 2, 3):
        await _wait_until(lambda count=count: len(made) == count)  # type: ignore[misc]  # bound while it is
        now_s += 1
    await _wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    await _stop(keeping)
    assert made[0] == "w-auto-19700112T134640Z.db"
    assert sorted(made) == made


async def test_files_not_made_by_the_server_are_ignored(tmp_path: Path) -> None:
    """Files from the future, of people and of other wallets stay, and folders too; unfinished backups are deleted."""
    for name in ("w-auto-20991231T000000Z.db", "w-19700101T000000Z.db", "ww-auto-19700101T000000Z.db", "w-auto-9.db"):
        (tmp_path / name).write_text("")
    (tmp_path / "w-auto-19700101T000000Z.db").mkdir()
    before = _list_folder(tmp_path)
    (tmp_path / ".w-auto-19700101T000001Z.db.abc.part").write_text("")

    def make(copy: Path, tell: ProgressCallback) -> None:
        tell(1, 1)
        copy.write_text("")

    keeping = _start_backups(make, tmp_path, BackupStatus(lambda: 86_400_000), keep=1, now_ms=86_400_000)
    copy = tmp_path / "w-auto-19700102T000000Z.db"
    await _wait_until(copy.exists)
    await _stop(keeping)
    assert _list_folder(tmp_path) == {*before, tmp_path / "w-auto-19700102T000000Z.db"}


async def test_a_failed_backup_is_retried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged, and a problem until a retry succeeds."""
    monkeypatch.setattr(maintenance, "RETRY_INTERVAL_S", 0.01)
    room = threading.Event()

    def make(copy: Path, tell: ProgressCallback) -> None:
        del tell
        if not room.is_set():
            raise StoreError("no room")
        copy.write_text("")

    status = BackupStatus(lambda: 0)
    keeping = _start_backups(make, tmp_path, status)
    await _wait_until(lambda: status.has_failed)
    assert status.problem == "automatic backups fail: there is none yet; the server's log has the cause"
    room.set()
    await _wait_until(lambda: status.newest_s == 0 and not status.has_failed)
    await _stop(keeping)
    assert status.problem == ""
    assert caplog.messages == ["the backup failed: no room"]


async def test_shutdown_does_not_wait_for_a_backup(tmp_path: Path) -> None:
    """The backup is cancelled."""
    begun, ended = threading.Event(), threading.Event()

    def make(copy: Path, tell: ProgressCallback) -> None:
        del copy
        begun.set()
        try:
            while True:
                tell(1, 2)
        finally:
            ended.set()

    keeping = _start_backups(make, tmp_path, BackupStatus(lambda: 0))
    await _wait_until(begun.is_set)
    keeping.cancel()
    await _wait_until(ended.is_set)


def test_the_age_of_the_newest_backup_grows_until_the_next() -> None:
    """Without any backup it grows from the start. Twice the interval is overdue. There is no age without backups."""
    now_s = 1_000
    status = BackupStatus(lambda: now_s * 1000)
    assert (status.age_s, status.problem) == (None, "")
    status.interval_s = 60
    now_s += 120
    assert (status.age_s, status.problem) == (120, "")
    now_s += 1
    assert status.problem == "automatic backups are overdue: there is none yet; the server's log has the cause"
    status.newest_s = 940
    assert (status.age_s, "the newest is 3 min old" in status.problem) == (181, True)
    status.newest_s = now_s
    assert (status.age_s, status.problem) == (0, "")
