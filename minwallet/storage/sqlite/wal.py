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

from minwallet.storage.database_files import WAL_SUFFIXES, companion_path
from minwallet.storage.errors import DatabaseCorrupt

HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24

BYTE_ORDER_BY_MAGIC: dict[int, Literal["little", "big"]] = {0x377F0682: "little", 0x377F0683: "big"}
"""How a log begins, and the order of bytes in which its sums are made."""

INDEX_HEADER_BYTES, FRAME_COUNT_FIELD, SALT_FIELD = 48, slice(16, 20), slice(32, 40)
"""The index begins with the same head twice, which says, in the order of this machine's bytes, how many frames of which
log are committed."""


def check_wal(path: Path) -> None:
    """DatabaseCorrupt, where acknowledged commits are missing. Nobody has the file open yet, and it stays as it is."""
    wal, index = (companion_path(path, companion) for companion in WAL_SUFFIXES)
    if not wal.exists():
        return
    if wal.stat().st_size <= HEADER_BYTES:
        if _read_committed_frames(index):
            raise DatabaseCorrupt(path, "its log is missing")
        return
    if path.stat().st_size == 0:
        # SQLite would take it for a new file, and throw the log away; but the first page was synced before any log.
        raise DatabaseCorrupt(path, "it is empty, and its log is not")
    with wal.open("rb") as wal_file:
        header = wal_file.read(HEADER_BYTES)
    if not any(header):
        return  # a new log, whose beginning the power did not leave time for
    if not _is_valid_header(header):
        raise DatabaseCorrupt(path, "its log begins with what nobody wrote")
    indexed_frames = _read_committed_frames(index, header)
    try:
        # A connection that only reads makes the index anew, and neither empties nor removes the log.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return  # what is wrong with the file, whoever opens it for good will say
    recovered_frames = _read_committed_frames(index, header)
    if recovered_frames < indexed_frames:
        raise DatabaseCorrupt(path, "the end of its log is missing")
    if _has_later_commits(wal, header, recovered_frames):
        raise DatabaseCorrupt(path, "commits of its log cannot be read")


def _has_later_commits(wal: Path, header: bytes, recovered_frames: int) -> bool:
    """Whether behind the frames that were taken there is a whole commit after the end of another.

    What several losses of power left has ends of commits, too; but none adds up after another.
    """
    order, salts, page_bytes = (
        BYTE_ORDER_BY_MAGIC[int.from_bytes(header[:4], "big")],
        header[16:24],
        int.from_bytes(header[8:12], "big"),
    )
    is_after_commit, previous_checksum = False, b""
    with wal.open("rb") as wal_file:
        wal_file.seek(HEADER_BYTES + recovered_frames * (FRAME_HEADER_BYTES + page_bytes))
        while len(frame := wal_file.read(FRAME_HEADER_BYTES + page_bytes)) == FRAME_HEADER_BYTES + page_bytes:
            # Frames of an earlier use of the log have other salts, and only those that end a commit tell a size.
            is_ours, ends_commit = frame[8:16] == salts, any(frame[4:8])
            if is_after_commit:
                checksum = _compute_checksum(
                    frame[FRAME_HEADER_BYTES:], order, _compute_checksum(frame[:8], order, previous_checksum)
                )
                is_after_commit = is_ours and checksum == frame[16:24]
            if is_after_commit and ends_commit:
                return True
            is_after_commit = is_after_commit or (is_ours and ends_commit)
            previous_checksum = frame[16:24]
    return False


def _read_committed_frames(index: Path, header: bytes | None = None) -> int:
    """How many frames are committed, as the index has it; 0 where that is of another log than that of this head."""
    found = index.read_bytes()[: 2 * INDEX_HEADER_BYTES] if index.exists() else b""
    one, two = found[:INDEX_HEADER_BYTES], found[INDEX_HEADER_BYTES:]
    return (
        int.from_bytes(one[FRAME_COUNT_FIELD], sys.byteorder)
        if one == two and (header is None or one[SALT_FIELD] == header[16:24])
        else 0
    )


def _is_valid_header(header: bytes) -> bool:
    """Whether the log's head has the sum that it says it has."""
    order = BYTE_ORDER_BY_MAGIC.get(int.from_bytes(header[:4], "big"))
    return order is not None and _compute_checksum(header[:24], order, bytes(8)) == header[24:32]


def _compute_checksum(data: bytes, order: Literal["little", "big"], initial: bytes) -> bytes:
    """SQLite's sum over the data, after what came before it."""
    first, second = int.from_bytes(initial[:4], "big"), int.from_bytes(initial[4:], "big")
    words = iter(struct.unpack(f"{'<' if order == 'little' else '>'}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) % 2**32
        second = (second + two + first) % 2**32
    return first.to_bytes(4, "big") + second.to_bytes(4, "big")
