"""Permissions of files for a test that runs as root."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def permissions_apply() -> Iterator[None]:
    """Take from this thread root's right to ignore permissions, see capabilities(7)."""
    libc = ctypes.CDLL(None)
    header, data = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    libc.capget(header, data)
    data[0] &= ~0b1110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH and CAP_FOWNER
    libc.capset(header, data)
    try:
        yield
    finally:
        data[0] |= 0b1110
        libc.capset(header, data)


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
