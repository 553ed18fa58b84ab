"""What a server says of faults: enough to know, never a flood."""

import io
import logging

import pytest

from minwallet.config import load_settings
from minwallet.protocols.registry import load_protocol
from minwallet.storage.errors import DiskFull, StoreError
from minwallet.wallet.service import Wallet
from minwallet.web.access import AccessLog
from minwallet.web.gateway import Gateway
from minwallet.web.metrics import Metrics
from minwallet.web.strangers import Strangers
from tests.storage.reference_engine.memory_store import MemoryStore


def test_a_fault_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """However many calls meet it; another one is said at once, and what is said elsewhere is not said here."""
    now_ms = 10**6
    wallet = Wallet(MemoryStore(), lambda: now_ms)
    log = AccessLog(io.StringIO(), "vela")
    settings, meter = load_settings(db=None, host=None, port=None), Metrics("3").meter("vela")
    gateway = Gateway(load_protocol("vela"), wallet, settings, Strangers("127.0.0.1"), log=log, meter=meter)
    with caplog.at_level(logging.ERROR, "minwallet"):
        for words in ("dead", "dead", "dying", "dead"):
            gateway._complain_of(StoreError(words))
        gateway._complain_of(DiskFull("full"))
        now_ms += 60_001
        gateway._complain_of(StoreError("dead"))
        gateway._complain_of(StoreError("dead"))
    assert caplog.messages == ["dead", "dying", "dead", "dead"]
