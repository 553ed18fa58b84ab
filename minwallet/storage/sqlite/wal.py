"""The check of a write-ahead log (WAL) for lost commits, before the file is opened.

Rules

1. The file and the WAL are not changed. SQLite may rebuild the index; `read_access.preserve_wal` restores it.
2. A WAL that only lost its last, unfinished commit is accepted. Any other loss raises DatabaseCorrupt.
3. No process may have the file open.

Theory of operation

SQLite recovers a WAL up to the first frame whose checksum is wrong, and silently ignores everything behind it. That is
correct after a power loss: the last commit may be there in part, and it was never acknowledged. But it hides damage in
the middle of a WAL, which drops commits that were acknowledged. Two facts tell these cases apart:

- Each commit is synced before the next one begins (`synchronous = FULL`). So a power loss can damage the last commit
  only. A complete commit after the end of another, behind the frame where SQLite stopped, proves the loss.
- The index (`-shm`) survives a killed process, and SQLite writes it after the sync. So commits that it counts were
  acknowledged. If SQLite recovers fewer, the end of the WAL was lost.

The format is documented at https://sqlite.org/fileformat2.html#the_write_ahead_log and
https://sqlite.org/walformat.html:

    WAL    header of 32 bytes: magic (4), version (4), page size (4), sequence (4), salts (8), checksum (8)
           frames, each with a header of 24 bytes: page number (4), pages in the file if the frame ends a commit, else 0
           (4), salts (8), checksum (8); then the page
    index  two equal copies of a header of 48 bytes, with the number of committed frames at 16 and the salts at 32

A checksum covers the frame and, through its start value, all frames before it. Frames of an earlier use of the WAL have
other salts.
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
"""The byte order of the checksums, by the magic number of the WAL. All other numbers of a WAL are big-endian."""

INDEX_HEADER_BYTES, FRAME_COUNT_FIELD, SALT_FIELD = 48, slice(16, 20), slice(32, 40)
"""The fields of the index header. Its numbers are in this machine's byte order."""


def check_wal(path: Path) -> None:
    """Raise DatabaseCorrupt if acknowledged commits are missing. No process may have the file open."""
    wal, index = (companion_path(path, companion) for companion in WAL_SUFFIXES)
    if not wal.exists():
        return
    if wal.stat().st_size <= HEADER_BYTES:
        if _read_committed_frames(index):
            raise DatabaseCorrupt(path, "its write-ahead log is missing")
        return
    if path.stat().st_size == 0:
        # SQLite would treat it as a new file and delete the WAL. But the first page is synced before any WAL exists.
        raise DatabaseCorrupt(path, "it is empty, but its write-ahead log is not")
    with wal.open("rb") as wal_file:
        header = wal_file.read(HEADER_BYTES)
    if not any(header):
        return  # A power loss before the header of a new WAL was written. No commit can have been acknowledged.
    if not _is_valid_header(header):
        raise DatabaseCorrupt(path, "the header of its write-ahead log is invalid")
    indexed_frames = _read_committed_frames(index, header)
    try:
        # SQLite recovers the WAL and rebuilds the index. A read-only connection neither empties nor deletes the WAL.
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except (sqlite3.Error, UnicodeDecodeError):
        return  # The file itself is damaged. Opening it for use reports that.
    recovered_frames = _read_committed_frames(index, header)
    if recovered_frames < indexed_frames:
        raise DatabaseCorrupt(path, "the end of its write-ahead log is missing")
    if _has_later_commits(wal, header, recovered_frames):
        raise DatabaseCorrupt(path, "commits in its write-ahead log cannot be read")


def _has_later_commits(wal: Path, header: bytes, recovered_frames: int) -> bool:
    """Return True if a complete commit follows the end of another one behind the recovered frames.

    One end of a commit proves nothing: several power losses can leave some. But then no commit behind it has correct
    checksums.
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
            # Frames of an earlier use of the WAL have other salts. Only the last frame of a commit has a size.
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
    """Return the number of committed frames in the index. Return 0 if it belongs to a WAL with another header."""
    found = index.read_bytes()[: 2 * INDEX_HEADER_BYTES] if index.exists() else b""
    one, two = found[:INDEX_HEADER_BYTES], found[INDEX_HEADER_BYTES:]
    return (
        int.from_bytes(one[FRAME_COUNT_FIELD], sys.byteorder)
        if one == two and (header is None or one[SALT_FIELD] == header[16:24])
        else 0
    )


def _is_valid_header(header: bytes) -> bool:
    """Return True if the header of the WAL has a correct checksum."""
    order = BYTE_ORDER_BY_MAGIC.get(int.from_bytes(header[:4], "big"))
    return order is not None and _compute_checksum(header[:24], order, bytes(8)) == header[24:32]


def _compute_checksum(data: bytes, order: Literal["little", "big"], initial: bytes) -> bytes:
    """Return SQLite's checksum of the data, continued from the checksum `initial`."""
    first, second = int.from_bytes(initial[:4], "big"), int.from_bytes(initial[4:], "big")
    words = iter(struct.unpack(f"{'<' if order == 'little' else '>'}{len(data) // 4}I", data))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) % 2**32
        second = (second + two + first) % 2**32
    return first.to_bytes(4, "big") + second.to_bytes(4, "big")
