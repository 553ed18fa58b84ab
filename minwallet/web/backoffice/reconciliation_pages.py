"""The page Reconciliation: fetch the provider's report and compare it with the ledger."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.agents import get_agent
from minwallet.operations.requests import GamesSave, ReportSave
from minwallet.operations.timestamps import format_iso
from minwallet.provider import report_pull
from minwallet.provider.game_catalogue import read_game_catalogue
from minwallet.provider.reconcile import reconcile
from minwallet.provider.service_client import ServiceClient, find_service_protocol
from minwallet.storage.models import Agent
from minwallet.web.backoffice.comparison import STATUS_MEANINGS, ComparisonResult
from minwallet.web.backoffice.filters import parse_number
from minwallet.web.backoffice.jobs import Job, JobRunner, run_in_thread
from minwallet.web.backoffice.page import PageContext, PageRouter
from minwallet.web.backoffice.player_list import choose_agent, list_agent_names

PATH = "/admin/reconciliation"

PAGE_SIZE, MAX_KEPT_DIFFERENCES, MAX_TOTALS = 50, 10_000, 100
"""The most differences on a page, differences kept of a comparison, and totals on a page."""

PROVIDER_TIMEOUT_S, JOB_WAIT_S = 30, 0.7
"""The time limit of a provider's reply, and the time that a page waits for a job that may end soon; in seconds."""

HOUR_S = 3600

OPEN_AFTER_CHOICES = {"1 hour": HOUR_S, "6 hours": 6 * HOUR_S, "24 hours": 24 * HOUR_S, "7 days": 7 * 24 * HOUR_S}

GRACE_CHOICES = {"none": 0, "15 minutes": HOUR_S // 4, "1 hour": HOUR_S, "6 hours": 6 * HOUR_S, "24 hours": 24 * HOUR_S}


def routes(router: PageRouter) -> list[Route]:
    pages = _ReconciliationPages(router)
    return [
        router.get(PATH, pages.render_reconciliation),
        router.get(f"{PATH}.csv", pages.send_csv),
        router.post(f"{PATH}/pull", pages.pull_report),
        router.post(f"{PATH}/games", pages.fetch_games),
        router.post(f"{PATH}/compare", pages.compare_report),
        router.post(f"{PATH}/stop", pages.stop_job),
    ]


class _ReconciliationPages:
    """The page with its jobs and its newest comparison per agent; both are lost when the server stops."""

    def __init__(self, router: PageRouter) -> None:
        self._jobs = JobRunner(router.wallet)
        self._comparisons: dict[str, ComparisonResult] = {}

    async def render_reconciliation(self, context: PageContext) -> Response:
        store, agents = context.wallet.store, await list_agent_names(context)
        agent = await get_agent(store, choose_agent(context, agents))
        comparison = self._comparisons.get(agent.name)
        page = max(parse_number(context.request.query_params.get("page"), MAX_KEPT_DIFFERENCES) or 1, 1)
        return context.render(
            "backoffice/reconciliation.html",
            agents=agents,
            agent=agent,
            report_cursor=await store.reports.find_report_cursor(agent.agent_id),
            catalogue=await read_game_catalogue(store, agent.name),
            job=self._jobs.find(agent.name),
            comparison=comparison,
            differences=comparison.reconciliation.discrepancies[PAGE_SIZE * (page - 1) : PAGE_SIZE * page]
            if comparison
            else [],
            page=page,
            page_count=-(-len(comparison.reconciliation.discrepancies) // PAGE_SIZE) if comparison else 0,
            max_totals=MAX_TOTALS,
            status_meanings=STATUS_MEANINGS,
            open_after=OPEN_AFTER_CHOICES,
            grace=GRACE_CHOICES,
            page_url=_reconciliation_url(agent.name),
        )

    async def send_csv(self, context: PageContext) -> Response:
        comparison = self._comparisons.get(context.request.query_params.get("agent", ""))
        if comparison is None:
            raise HTTPException(404)
        name = f"differences-{(format_iso(comparison.compared_at_ms) or '').partition('.')[0].replace(':', '')}.csv"
        return Response(comparison.to_csv(), 200, {"content-disposition": f'attachment; filename="{name}"'}, "text/csv")

    async def pull_report(self, context: PageContext) -> Response:
        agent = await _load_agent(context)
        is_full = (await context.read_form()).get("full") == "yes"

        async def work(job: Job) -> str:
            cursor = await context.wallet.store.reports.find_report_cursor(agent.agent_id)
            protocol = await find_service_protocol(context.wallet.store, agent)
            rows, is_complete = 0, False
            with ServiceClient(agent, PROVIDER_TIMEOUT_S, protocol) as service:
                job.on_stop = service.stop
                batches = report_pull.pull_batches(service, cursor.key, context.wallet.clock_ms, restart=is_full)
                while batch := await run_in_thread(lambda: next(batches, None)):
                    await context.execute(ReportSave(agent=agent.name, sheet=batch))
                    rows, is_complete = rows + len(batch.rows), batch.ended_at_ms is not None
                    job.report_progress(f"{rows:,} rows so far")
            limit = f"stopped after {report_pull.MAX_PAGES:,} pages, fetch again to go on"
            state = "the report is complete" if is_complete else limit
            return f"{rows:,} new {'row' if rows == 1 else 'rows'}; {state}{_describe_skipped(service, 'rows')}"

        return await self._start_job(context, agent, "Fetching the report", work)

    async def fetch_games(self, context: PageContext) -> Response:
        agent = await _load_agent(context)

        async def work(job: Job) -> str:
            job.report_progress("waiting for the provider")
            protocol = await find_service_protocol(context.wallet.store, agent)
            with ServiceClient(agent, PROVIDER_TIMEOUT_S, protocol) as service:
                job.on_stop = service.stop
                games = await run_in_thread(service.fetch_games)
            await context.execute(GamesSave(agent=agent.name, games=tuple(games)))
            return f"{len(games):,} games{_describe_skipped(service, 'games')}"

        return await self._start_job(context, agent, "Fetching the game list", work)

    async def compare_report(self, context: PageContext) -> Response:
        agent, form = await _load_agent(context), await context.read_form()
        open_after, grace = form.get("open_after", ""), form.get("grace", "")
        if open_after not in OPEN_AFTER_CHOICES or grace not in GRACE_CHOICES:
            raise HTTPException(400)

        async def work(job: Job) -> str:
            result = await reconcile(
                context.wallet.store,
                agent.name,
                lambda done: job.report_progress(f"{done:,} tickets so far"),
                now_ms=(now_ms := context.wallet.clock_ms()),
                open_after_s=OPEN_AFTER_CHOICES[open_after],
                grace_s=GRACE_CHOICES[grace],
                max_kept=MAX_KEPT_DIFFERENCES,
            )
            self._comparisons[agent.name] = ComparisonResult(result, now_ms, open_after, grace)
            return f"{result.counts.total():,} {'ticket' if result.counts.total() == 1 else 'tickets'}"

        return await self._start_job(context, agent, "Comparing report and ledger", work)

    async def stop_job(self, context: PageContext) -> Response:
        agent = await _load_agent(context)
        await self._jobs.stop(agent.name, JOB_WAIT_S)
        return context.redirect(_reconciliation_url(agent.name))

    async def _start_job(
        self, context: PageContext, agent: Agent, title: str, work: Callable[[Job], Awaitable[str]]
    ) -> Response:
        if await self._jobs.start(agent.name, title, work, JOB_WAIT_S):
            return context.redirect(_reconciliation_url(agent.name))
        return context.redirect(_reconciliation_url(agent.name), "Another job of this agent is still running.", "note")


async def _load_agent(context: PageContext) -> Agent:
    return await get_agent(context.wallet.store, (await context.read_form()).get("agent", ""))


def _describe_skipped(service: ServiceClient, noun: str) -> str:
    """Return the lines about the entries that cannot be read, as the rest of a sentence."""
    return "".join(f"; {line}" for line in service.skipped.describe(noun))


def _reconciliation_url(agent: str) -> str:
    return f"{PATH}?{urlencode({'agent': agent})}"
