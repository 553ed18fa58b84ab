"""The provider's report, pulled and held against the ledger."""

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from minwallet.operations.agents import get_agent
from minwallet.operations.requests import GamesSave, ReportSave
from minwallet.operations.timestamps import format_iso
from minwallet.provider import report
from minwallet.provider.games import read_catalogue
from minwallet.provider.reconcile import reconcile
from minwallet.provider.service import ProviderService
from minwallet.storage.models import Agent
from minwallet.web.backoffice.background import Background, Say, in_thread
from minwallet.web.backoffice.filters import read_number
from minwallet.web.backoffice.findings import MEANINGS, Compared
from minwallet.web.backoffice.frame import Frame, Visit
from minwallet.web.backoffice.players import agent_names, choose_agent

PATH = "/admin/reconciliation"

PAGE, MOST_KEPT, MOST_TOTALS = 50, 10_000, 100
"""How many differences a page shows, how many of a comparison are kept to be shown, how many totals a page has."""

TIMEOUT_S, PATIENCE_S = 30, 0.7
"""How long a provider may take for an answer, and how long a page waits for what may be done soon."""

HOUR_S = 3600

OPEN_AFTER = {"1 hour": HOUR_S, "6 hours": 6 * HOUR_S, "24 hours": 24 * HOUR_S, "7 days": 7 * 24 * HOUR_S}

GRACE = {"none": 0, "15 minutes": HOUR_S // 4, "1 hour": HOUR_S, "6 hours": 6 * HOUR_S, "24 hours": 24 * HOUR_S}


def routes(frame: Frame) -> list[Route]:
    pages = _Pages(frame)
    return [
        frame.get(PATH, pages.show),
        frame.get(f"{PATH}.csv", pages.send),
        frame.post(f"{PATH}/pull", pages.pull),
        frame.post(f"{PATH}/games", pages.fetch_games),
        frame.post(f"{PATH}/compare", pages.compare),
    ]


class _Pages:
    """What goes on in the background, and what came of it, which is forgotten when the server stops."""

    def __init__(self, frame: Frame) -> None:
        self._background = Background(frame.wallet)
        self._compared: dict[str, Compared] = {}

    async def show(self, visit: Visit) -> Response:
        store, agents = visit.wallet.store, await agent_names(visit)
        agent = await get_agent(store, choose_agent(visit, agents))
        compared = self._compared.get(agent.name)
        page = max(read_number(visit.request.query_params.get("page"), MOST_KEPT) or 1, 1)
        return visit.render(
            "office/reconciliation.html",
            agents=agents,
            agent=agent,
            mark=await store.find_report_cursor(agent.agent_id),
            catalogue=await read_catalogue(store, agent.name),
            job=self._background.find(agent.name),
            compared=compared,
            differences=compared.found.discrepancies[PAGE * (page - 1) : PAGE * page] if compared else [],
            page=page,
            pages=-(-len(compared.found.discrepancies) // PAGE) if compared else 0,
            most_totals=MOST_TOTALS,
            meanings=MEANINGS,
            open_after=OPEN_AFTER,
            grace=GRACE,
            address=_address(agent.name),
        )

    async def send(self, visit: Visit) -> Response:
        compared = self._compared.get(visit.request.query_params.get("agent", ""))
        if compared is None:
            raise HTTPException(404)
        name = f"differences-{(format_iso(compared.at_ms) or '').partition('.')[0].replace(':', '')}.csv"
        return Response(compared.as_csv(), 200, {"content-disposition": f'attachment; filename="{name}"'}, "text/csv")

    async def pull(self, visit: Visit) -> Response:
        agent = await _named_agent(visit)
        anew = (await visit.form()).get("anew") == "yes"

        async def work(say: Say) -> str:
            mark = await visit.wallet.store.find_report_cursor(agent.agent_id)
            rows = 0
            with ProviderService(agent, TIMEOUT_S) as service:
                sheets = report.pull(service, mark.key, visit.wallet.clock_ms, anew=anew)
                while sheet := await in_thread(lambda: next(sheets, None)):
                    await visit.perform(ReportSave(agent=agent.name, sheet=sheet))
                    rows += len(sheet.rows)
                    say(f"{rows:,} rows so far")
            return f"{rows:,} new {'row' if rows == 1 else 'rows'}; the report is whole"

        return await self._begin(visit, agent, "Pulling the report", work)

    async def fetch_games(self, visit: Visit) -> Response:
        agent = await _named_agent(visit)

        async def work(say: Say) -> str:
            say("asking the provider")
            with ProviderService(agent, TIMEOUT_S) as service:
                games = await in_thread(service.games)
            await visit.perform(GamesSave(agent=agent.name, games=tuple(games)))
            return f"{len(games):,} games"

        return await self._begin(visit, agent, "Fetching the game list", work)

    async def compare(self, visit: Visit) -> Response:
        agent, form = await _named_agent(visit), await visit.form()
        open_after, grace = form.get("open_after", ""), form.get("grace", "")
        if open_after not in OPEN_AFTER or grace not in GRACE:
            raise HTTPException(400)

        async def work(say: Say) -> str:
            found = await reconcile(
                visit.wallet.store,
                agent.name,
                lambda done: say(f"{done:,} tickets so far"),
                now_ms=(now_ms := visit.wallet.clock_ms()),
                open_after_s=OPEN_AFTER[open_after],
                grace_s=GRACE[grace],
                most_kept=MOST_KEPT,
            )
            self._compared[agent.name] = Compared(found, now_ms, open_after, grace)
            return f"{found.counts.total():,} {'ticket' if found.counts.total() == 1 else 'tickets'}"

        return await self._begin(visit, agent, "Comparing report and ledger", work)

    async def _begin(self, visit: Visit, agent: Agent, what: str, work: Callable[[Say], Awaitable[str]]) -> Response:
        if await self._background.start(agent.name, what, work, PATIENCE_S):
            return visit.redirect(_address(agent.name))
        return visit.redirect(_address(agent.name), "Something is going on for this agent already.", "note")


async def _named_agent(visit: Visit) -> Agent:
    return await get_agent(visit.wallet.store, (await visit.form()).get("agent", ""))


def _address(agent: str) -> str:
    return f"{PATH}?{urlencode({'agent': agent})}"
