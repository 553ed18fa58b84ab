"""Logging of faults: enough information, without a flood."""

import io
import logging

import pytest

from minwallet.config import load_settings
from minwallet.protocols.registry import load_protocol
from minwallet.storage.errors import DiskFull, StoreError
from minwallet.wallet.service import Wallet
from minwallet.web.gateway.access_log import AccessLog
from minwallet.web.gateway.client_address import ClientAddresses
from minwallet.web.gateway.gateway import Gateway
from minwallet.web.gateway.recent_calls import RecentCalls
from minwallet.web.gateway.unknown_token_limit import UnknownTokenLimiter
from minwallet.web.metrics import Metrics
from tests.storage.reference_engine.memory_store import MemoryStore


def test_a_fault_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """A fault is logged once, however many calls it affects. Another fault is logged immediately. A full disk is
    logged elsewhere."""
    now_ms = 10**6
    wallet = Wallet(MemoryStore(), lambda: now_ms)
    log = AccessLog(io.StringIO(), "vela")
    settings, meter = load_settings(db=None, host=None, port=None), Metrics("3").call_recorder("vela")
    gateway = Gateway(
        load_protocol("vela"),
        wallet,
        settings,
        UnknownTokenLimiter(),
        access_log=log,
        call_recorder=meter,
        recent_calls=RecentCalls(),
        addresses=ClientAddresses("127.0.0.1"),
    )
    with caplog.at_level(logging.ERROR, "minwallet"):
        for words in ("dead", "dead", "dying", "dead"):
            gateway._log_fault(StoreError(words))
        gateway._log_fault(DiskFull("full"))
        now_ms += 60_001
        gateway._log_fault(StoreError("dead"))
        gateway._log_fault(StoreError("dead"))
    assert caplog.messages == ["dead", "dying", "dead", "dead"]
