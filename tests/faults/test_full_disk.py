"""A disk that is full."""

import asyncio
import sys
from pathlib import Path

import pytest

from minwallet.storage.errors import DiskFull
from minwallet.storage.models import NewAccount
from minwallet.storage.sqlite import SqliteStore
from tests.faults.full_disk import fill_disk, mount_small_disk, small_disk_unavailable_reason
from tests.faults.harness import run_torture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the files of another process")


@pytest.mark.long
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Whatever finds no room is answered 503, and done when there is room again; everything that was said holds."""
    counts = run_torture("disk", 1, tmp_path).counts
    assert counts["acknowledged"] > 300
    assert counts["stopped at a limit"] == 1
    if why := small_disk_unavailable_reason():
        pytest.skip(f"tried with files that may not grow, but not with a full disk: {why}")


def test_what_does_not_fit_is_not_there_in_part(tmp_path: Path) -> None:
    """A disk that is full in the middle of a change voids all of it: no later statement is kept by itself."""
    if why := small_disk_unavailable_reason():
        pytest.skip(why)
    openings = [NewAccount("default", f"player{number}", "USD", 100, 0, None) for number in range(3_000)]

    async def story(file: Path) -> None:
        store = await SqliteStore.open(file, create=True)
        try:
            await store.accounts.create_accounts([NewAccount("default", "first", "USD", 100, 0, None)], 0)
            assert store._writer
            statements: list[str] = []
            # What does not fit into memory is written before the commit, as it is of a very large change.
            await store._writer.run(lambda db: db.execute("PRAGMA cache_size = 10"))
            await store._writer.run(lambda db: db.set_trace_callback(statements.append))
            fill_disk(ballast := file.with_name("ballast"), 300_000)
            with pytest.raises(DiskFull):
                await store.accounts.create_accounts(openings, 0)
            assert not {"COMMIT", "ROLLBACK"} & set(statements), "it was not full in the middle"
            assert not await store._writer.run(lambda db: db.in_transaction)
            assert [player.player_id for player in await store.accounts.list_players("default")] == ["first"]
            ballast.unlink()
            assert not (await store.accounts.create_accounts(openings, 0)).problems
            assert await store.ledger.count_entries() == 3_001
        finally:
            await store.close()

    with mount_small_disk(tmp_path / "disk") as disk:
        asyncio.run(story(disk / "wallet.db"))
