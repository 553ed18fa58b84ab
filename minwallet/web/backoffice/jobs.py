"""What takes longer than a page should: it goes on in the background, one thing at a time for each agent."""

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

ReportProgress = Callable[[str], None]

logger = logging.getLogger("minwallet")


class Job:
    """Something that was begun: `said` is how far it is, and at its end what came of it, or `error` why nothing."""

    def __init__(self, title: str, started_at_ms: int) -> None:
        self.title = title
        self.started_at_ms = started_at_ms
        self.ended_at_ms: int | None = None
        self.message = ""
        self.error = ""

    @property
    def is_running(self) -> bool:
        return self.ended_at_ms is None


class JobRunner:
    """The last job of each agent."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, agent: str) -> Job | None:
        return self._jobs.get(agent)

    async def start(
        self, agent: str, title: str, work: Callable[[ReportProgress], Awaitable[str]], wait_s: float
    ) -> bool:
        """Begin, and wait a little for an end; False where something is going on for this agent already.

        `work` is given a function that says how far it is, and returns what came of it.
        """
        job = self._jobs.get(agent)
        if job is not None and job.is_running:
            return False
        self._jobs[agent] = job = Job(title, self._wallet.clock_ms())
        task = asyncio.create_task(self._run(job, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=wait_s)
        return True

    async def _run(self, job: Job, work: Callable[[ReportProgress], Awaitable[str]]) -> None:
        try:
            job.message = await work(lambda text: setattr(job, "message", text))
        except (OperationError, ProviderFailed, StoreError) as error:
            job.error = "; ".join(map(str, error.args))
        except Exception:
            # A stopping server closes the store under whatever still goes on.
            if not self._wallet.commit_notifier.is_closed:
                logger.exception("what was begun in the background broke; please report this as a bug")
            job.error = "this should not happen, and the server's log says what did; please report it"
        finally:
            job.ended_at_ms = self._wallet.clock_ms()


async def run_in_thread(work: Callable[[], T]) -> T:
    """What `work` returns, from a thread of its own that a stopping server does not wait for."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def resolve(result: T | None, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)  # type: ignore[arg-type]  # None only where the work returned it
        else:
            future.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        # The loop may have ended meanwhile; then nobody waits.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(resolve, result, failure)

    threading.Thread(target=run, daemon=True).start()
    return await future
