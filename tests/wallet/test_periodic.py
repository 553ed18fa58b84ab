"""The loop of endless background work: its rhythm, its end, and what a fault does to it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import pytest

from minwallet.storage.errors import StoreError
from minwallet.wallet import periodic
from minwallet.wallet.periodic import run_periodically


class StopLoop(BaseException):
    """Ends a loop from inside its pause; the loop must not catch it."""


def run_until(pause_count: int, loop: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Run the loop without waiting, up to its pause number `pause_count`, and return all pauses in seconds."""
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == pause_count:
            raise StopLoop

    monkeypatch.setattr(asyncio, "sleep", sleep)
    coroutine = loop()
    with pytest.raises(StopLoop):
        coroutine.__await__().__next__()
    return pauses


def test_the_work_decides_when_it_runs_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """None means the usual interval; 0 means immediately."""
    results = iter([0, None, 5.0])

    async def work() -> float | None:
        return next(results)

    assert run_until(3, lambda: run_periodically("it", work, 60), monkeypatch) == [0, 60, 5]


def test_the_first_run_is_immediate_unless_delayed(monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[str] = []

    async def work() -> None:
        runs.append("run")

    assert run_until(1, lambda: run_periodically("it", work, 60, delay_first_run=True), monkeypatch) == [60]
    assert runs == []
    assert run_until(1, lambda: run_periodically("it", work, 60), monkeypatch) == [60]
    assert runs == ["run"]


@pytest.mark.parametrize("fault", [StoreError("no space"), OSError("no space"), ZeroDivisionError("no space")])
def test_a_fault_does_not_end_the_loop(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault is logged, a bug with its traceback, and the work runs again after `retry_s`."""
    results: list[Exception | None] = [fault, None]

    async def work() -> None:
        if result := results.pop(0):
            raise result

    with caplog.at_level(logging.ERROR):
        assert run_until(2, lambda: run_periodically("the work", work, 60, retry_s=7), monkeypatch) == [7, 60]
    assert caplog.messages == ["the work failed: no space"]
    assert bool(caplog.records[0].exc_info) == isinstance(fault, ZeroDivisionError)


def test_a_repeated_fault_is_logged_once_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The same fault is logged again after MIN_LOG_INTERVAL_S, or after a run without a fault; another immediately."""
    now_s = 0.0
    steps = iter([("a", 0), ("a", 10), ("b", 11), ("b", 41), ("", 42), ("b", 43)])

    async def work() -> None:
        nonlocal now_s
        fault, now_s = next(steps)
        if fault:
            raise StoreError(fault)

    monkeypatch.setattr(periodic, "monotonic", lambda: now_s)
    run_until(6, lambda: run_periodically("it", work, 1), monkeypatch)
    assert caplog.messages == ["it failed: a", "it failed: b", "it failed: b", "it failed: b"]


def test_cancelling_the_task_ends_the_loop() -> None:
    """During a pause and during the work."""

    async def scenario() -> None:
        begun = asyncio.Event()

        async def hang() -> None:
            begun.set()
            await asyncio.Event().wait()

        async def finish() -> None:
            begun.set()

        for work in (hang, finish):
            begun.clear()
            task = asyncio.create_task(run_periodically("it", work, 60))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scenario())


def test_the_failure_of_the_store_is_reported_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The server stops and says why. The work that met the failure adds no line of its own."""
    failure = StoreError("a commit failed")
    failure.is_logged = True

    async def work() -> None:
        raise failure

    assert run_until(2, lambda: run_periodically("it", work, 60), monkeypatch) == [60, 60]
    assert not caplog.records
