"""Whether the write-ahead log that a killed process left has lost more than its end.

SQLite takes a log up to the first frame that does not check out, which is right after a loss of power: the last commit
may be there in part. But each commit was synced before the next one began, so at most one can be lost that way. Where
more commits follow what does not check out, they had been acknowledged; and so had those that the log's index tells of,
which a killed process leaves behind and which is written after the sync.
"""

import sqlite3
import struct
import sys
from contextlib import closing
from pathlib import Path
from typing import Literal

from minwallet.storage.base import DamagedFile
from minwallet.storage.files import LOG_AND_INDEX, beside

HEAD_BYTES, FRAME_HEAD_BYTES = 32, 24

MAGICS: dict[int, Literal["little", "big"]] = {0x377F0682: "little", 0x377F0683: "big"}
"""How a log begins, and the order of bytes in which its sums are made."""

INDEX_HEAD_BYTES, FRAMES, SALTS = 48, slice(16, 20), slice(32, 40)
"""The index begins with the same head twice, which says, in the order of this machine's bytes, how many frames of which
log are committed."""


def check_log(path: Path) -> None:
    """DamagedFile, where acknowledged commits are missing. Nobody has the file open yet, and it stays as it is."""
    log, index = (beside(path, companion) for companion in LOG_AND_INDEX)
    if not log.exists():
        return
    if log.stat().st_size <= HEAD_BYTES:
        if _indexed(index):
            raise DamagedFile(path, "its log is missing")
        return
    if path.stat().st_size == 0:
        # SQLite would take it for a new file, and throw the log away; but the first page was synced before any log.
        raise DamagedFile(path, "it is empty, and its log is not")
    with log.open("rb") as read:
        head = read.read(HEAD_BYTES)
    if not any(head):
        return  # a new log, whose beginning the power did not leave time for
    if not _checks_out(head):
        raise DamagedFile(path, "its log begins with what nobody wrote")
    promised = _indexed(index, head)
    try:
        # A connection that only reads makes the index anew, and neither empties nor removes the log.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return  # what is wrong with the file, whoever opens it for good will say
    taken = _indexed(index, head)
    if taken < promised:
        raise DamagedFile(path, "the end of its log is missing")
    if _goes_on(log, head, taken):
        raise DamagedFile(path, "commits of its log cannot be read")


def _goes_on(log: Path, head: bytes, taken: int) -> bool:
    """Whether behind the frames that were taken there is a whole commit after the end of another.

    What several losses of power left has ends of commits, too; but none adds up after another.
    """
    order, salts, page_bytes = MAGICS[int.from_bytes(head[:4], "big")], head[16:24], int.from_bytes(head[8:12], "big")
    is_after_commit, before = False, b""
    with log.open("rb") as read:
        read.seek(HEAD_BYTES + taken * (FRAME_HEAD_BYTES + page_bytes))
        while len(frame := read.read(FRAME_HEAD_BYTES + page_bytes)) == FRAME_HEAD_BYTES + page_bytes:
            # Frames of an earlier use of the log have other salts, and only those that end a commit tell a size.
            is_ours, ends_commit = frame[8:16] == salts, any(frame[4:8])
            if is_after_commit:
                found = _add_up(frame[FRAME_HEAD_BYTES:], order, _add_up(frame[:8], order, before))
                is_after_commit = is_ours and found == frame[16:24]
            if is_after_commit and ends_commit:
                return True
            is_after_commit = is_after_commit or (is_ours and ends_commit)
            before = frame[16:24]
    return False


def _indexed(index: Path, head: bytes | None = None) -> int:
    """How many frames are committed, as the index has it; 0 where that is of another log than that of this head."""
    found = index.read_bytes()[: 2 * INDEX_HEAD_BYTES] if index.exists() else b""
    one, two = found[:INDEX_HEAD_BYTES], found[INDEX_HEAD_BYTES:]
    return (
        int.from_bytes(one[FRAMES], sys.byteorder) if one == two and (head is None or one[SALTS] == head[16:24]) else 0
    )


def _checks_out(head: bytes) -> bool:
    """Whether the log's head has the sum that it says it has."""
    order = MAGICS.get(int.from_bytes(head[:4], "big"))
    return order is not None and _add_up(head[:24], order, bytes(8)) == head[24:32]


def _add_up(data: bytes, order: Literal["little", "big"], before: bytes) -> bytes:
    """SQLite's sum over the data, after what came before it."""
    first, second = int.from_bytes(before[:4], "big"), int.from_bytes(before[4:], "big")
    words = iter(struct.unpack(f"{'<' if order == 'little' else '>'}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) % 2**32
        second = (second + two + first) % 2**32
    return first.to_bytes(4, "big") + second.to_bytes(4, "big")
