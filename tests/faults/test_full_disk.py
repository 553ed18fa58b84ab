"""A full disk."""

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
    """A call without space gets 503 and succeeds later; every acknowledged call is in the file."""
    counts = run_torture("disk", 1, tmp_path).counts
    assert counts["acknowledged"] > 300
    assert counts["stopped at a limit"] == 1
    if why := small_disk_unavailable_reason():
        pytest.skip(f"tried with files that may not grow, but not with a full disk: {why}")


@pytest.mark.anyio
async def test_a_change_that_does_not_fit_is_rolled_back_completely(tmp_path: Path) -> None:
    """If the disk becomes full during a change, the whole change is void: no later statement takes effect alone."""
    if why := small_disk_unavailable_reason():
        pytest.skip(why)
    openings = [NewAccount("default", f"player{number}", "USD", 100, 0, None) for number in range(3_000)]
    with mount_small_disk(tmp_path / "disk") as disk:
        file = disk / "wallet.db"
        store = await SqliteStore.open(file, create=True)
        try:
            await store.accounts.create_accounts([NewAccount("default", "first", "USD", 100, 0, None)], 0)
            assert store._writer
            statements: list[str] = []
            # A small cache makes SQLite write before the commit, as it does in a very large change.
            await store._writer.run(lambda db: db.execute("PRAGMA cache_size = 10"))
            await store._writer.run(lambda db: db.set_trace_callback(statements.append))
            fill_disk(ballast := file.with_name("ballast"), 300_000)
            with pytest.raises(DiskFull):
                await store.accounts.create_accounts(openings, 0)
            assert not {"COMMIT", "ROLLBACK"} & set(statements), "the disk was not full in the middle of the change"
            assert not await store._writer.run(lambda db: db.in_transaction)
            assert [player.player_id for player in await store.accounts.list_players("default")] == ["first"]
            ballast.unlink()
            assert not (await store.accounts.create_accounts(openings, 0)).problems
            assert await store.ledger.count_entries() == 3_001
        finally:
            await store.close()
