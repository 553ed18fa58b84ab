"""Background jobs for operations that take longer than a page should; each agent has one job at a time."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from minwallet.operations.errors import OperationError
from minwallet.provider.service_client import ProviderFailed
from minwallet.storage.errors import StoreError
from minwallet.wallet.service import Wallet

T = TypeVar("T")

logger = logging.getLogger("minwallet")


class JobStopped(Exception):
    """An admin has stopped the job."""


class Job:
    """A job. `message` is its progress, and at the end its result; `error` is the reason if it failed.

    `on_stop` interrupts a wait of the job. A job without one stops when it next reports its progress.
    """

    def __init__(self, title: str, started_at_ms: int) -> None:
        self.title = title
        self.started_at_ms = started_at_ms
        self.ended_at_ms: int | None = None
        self.message = ""
        self.error = ""
        self.is_stopped = False
        self.task: asyncio.Task[None]
        self.on_stop: Callable[[], None] = lambda: None

    @property
    def is_running(self) -> bool:
        return self.ended_at_ms is None

    def report_progress(self, message: str) -> None:
        """Show the message. Raise JobStopped if the job is to stop."""
        if self.is_stopped:
            raise JobStopped
        self.message = message


class JobRunner:
    """The newest job of each agent; the jobs are lost when the server stops."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self._jobs: dict[str, Job] = {}

    def find(self, agent: str) -> Job | None:
        return self._jobs.get(agent)

    async def start(self, agent: str, title: str, work: Callable[[Job], Awaitable[str]], wait_s: float) -> bool:
        """Start a job and wait up to `wait_s` for its end. Return False if a job of this agent is still running.

        `work` gets its job to report the progress, and returns the result's message.
        """
        job = self._jobs.get(agent)
        if job is not None and job.is_running:
            return False
        self._jobs[agent] = job = Job(title, self._wallet.clock_ms())
        # The job keeps its task, because the event loop has only a weak reference.
        job.task = asyncio.create_task(self._run(job, work))
        await asyncio.wait({job.task}, timeout=wait_s)
        return True

    async def stop(self, agent: str, wait_s: float) -> None:
        """Stop the agent's job if one is running, and wait up to `wait_s` for its end."""
        job = self._jobs.get(agent)
        if job is None or not job.is_running:
            return
        job.is_stopped = True
        job.on_stop()
        await asyncio.wait({job.task}, timeout=wait_s)

    async def _run(self, job: Job, work: Callable[[Job], Awaitable[str]]) -> None:
        try:
            job.message = await work(job)
        except JobStopped:
            pass
        except (OperationError, ProviderFailed, StoreError) as error:
            if not job.is_stopped:
                job.error = "; ".join(map(str, error.args))
        except Exception:
            # A stopping server closes the store while jobs are running. Their errors are then no bugs.
            if not self._wallet.commit_notifier.is_closed:
                logger.exception("a background job failed; please report this as a bug")
            job.error = "internal error; the server's log has the details, please report it as a bug"
        finally:
            job.ended_at_ms = self._wallet.clock_ms()


async def run_in_thread(work: Callable[[], T]) -> T:
    """Return the result of `work`, which runs in a daemon thread of its own.

    A stopping server waits for the threads of the default executor, but not for this one.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def resolve(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # None only if the work returned it
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        # The loop may be closed by now; then no caller waits for the result.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await future
