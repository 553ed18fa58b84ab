"""The demo page and its parts: the game, the live ledger, and each row's request, reply and replay."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from minwallet.demo.dealer import list_played_protocols
from minwallet.demo.game_rules import GAMES, DemoGame, find_game
from minwallet.ledger.entries import Entry
from minwallet.ledger.money import MAX_CENTS, parse_amount
from minwallet.operations.agents import get_agent
from minwallet.operations.errors import OperationError
from minwallet.provider import manual_calls
from minwallet.storage.models import JournaledEntry
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.wallet.feed import BATCH_SIZE
from minwallet.wallet.service import Wallet
from minwallet.web.demo import game_view, scenarios
from minwallet.web.demo.provider_client import MAX_STAKE_CENTS, PlayFailed, PlayRequest, RoundResponse, play_round
from minwallet.web.demo.scenarios import FAULT_SCENARIOS, STAKE_ABOVE_BALANCE_CENTS, FaultScenario, ScenarioReport
from minwallet.web.formatting import format_money
from minwallet.web.sse import stream_entries
from minwallet.web.templating import render_string

DEMO_AGENT = "default"

LISTED_ROWS, CHART_ROWS = 25, 80
"""The number of ledger rows that the page first lists, and that the chart first shows."""

LOCAL_HOSTS = ("127.0.0.1", "localhost")

Handler = Callable[[Request], Awaitable[Response]]


class DemoPlayer(NamedTuple):
    """A player of the page, with the token of a session that does not expire."""

    player_id: str
    currency: str
    token: str


class DemoConfig(NamedTuple):
    """The provider's address and the players of the page."""

    provider_url: str
    players: Sequence[DemoPlayer]


def routes(wallet: Wallet, config: DemoConfig, calls_url: str) -> list[Route]:
    """Return the routes below `/demo`. `calls_url` is the address of this wallet's provider endpoints."""
    page = _DemoPages(wallet, config, calls_url)
    return [
        Route("/demo", _require_local(page.render_page)),
        Route("/demo/game", _require_local(page.render_game)),
        Route("/demo/money", _require_local(page.render_account)),
        Route("/demo/feed", _require_local(page.stream_feed)),
        Route("/demo/play", _require_local(page.submit_play), methods=["POST"]),
        Route("/demo/entries/{seq:int}", _require_local(page.render_entry)),
        Route("/demo/entries/{seq:int}/replay", _require_local(page.replay_entry), methods=["POST"]),
    ]


def _require_local(handler: Handler) -> Handler:
    """Wrap a handler so that only pages of this machine reach it.

    It rejects foreign host names (DNS rebinding) and posts from other sites, because the page has no sign-in.
    """

    async def check_and_handle(request: Request) -> Response:
        host = request.headers.get("host", "")
        if host.rpartition(":")[0] not in LOCAL_HOSTS and host not in LOCAL_HOSTS:
            raise HTTPException(403)
        if request.method == "POST":
            fetch_site = request.headers.get("sec-fetch-site")
            origin = request.headers.get("origin", f"http://{host}")
            if fetch_site not in (None, "same-origin") or origin != f"http://{host}":
                raise HTTPException(403)
        return await handler(request)

    return check_and_handle


class _DemoPages:
    def __init__(self, wallet: Wallet, config: DemoConfig, calls_url: str) -> None:
        self._wallet = wallet
        self._provider_url = config.provider_url
        self._players = {player.player_id: player for player in config.players}
        self._calls_url = calls_url

    async def render_page(self, request: Request) -> Response:
        """Render the whole page."""
        player = self._find_player(request.query_params.get("player", next(iter(self._players))))
        game, protocol = _parse_game(request.query_params), _parse_protocol(request.query_params)
        return _render(
            "demo/demo_page.html",
            players=list(self._players.values()),
            games=GAMES,
            protocols=list(list_played_protocols()),
            protocol=protocol,
            scenarios=FAULT_SCENARIOS,
            **_build_game_context(game, None),
            **await self._build_account_context(player),
        )

    async def render_game(self, request: Request) -> Response:
        """Render another game."""
        return _render("demo/game.html", **_build_game_context(_parse_game(request.query_params), None))

    async def render_account(self, request: Request) -> Response:
        """Render another player's balance and ledger."""
        player = self._find_player(request.query_params.get("player", ""))
        return _render("demo/account_panel.html", is_partial=True, **await self._build_account_context(player))

    async def stream_feed(self, request: Request) -> Response:
        """Stream new rows of a player's ledger as they are committed."""
        player = self._find_player(request.query_params.get("player", ""))

        def render_row(listed: OwnedEntry) -> str:
            latest = _get_latest_balance([listed.entry])
            return render_string(
                "demo/feed_message.html", entry=listed.entry, player=player, latest=latest, is_new=True
            )

        return await stream_entries(
            self._wallet, request, _build_account_filter(player), render_row, event="", subscriber="demo"
        )

    async def submit_play(self, request: Request) -> Response:
        """Let the provider play one round. Render its outcome and what the wallet did."""
        form = dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        player, name = self._find_player(form.get("player", "")), form.get("trick", "")
        scenario = FAULT_SCENARIOS.get(name)
        try:
            before = await self._read_latest_balance(player)
            stake = (
                before.total + STAKE_ABOVE_BALANCE_CENTS
                if name == "too-little"
                else _parse_stake(form.get("stake", ""))
            )
            round_ = await play_round(self._provider_url, _build_play_request(player, form, stake, scenario))
        except (PlayFailed, ValueError) as error:
            return _render("demo/play_error.html", message=f"{error}")
        report = scenarios.build_scenario_report(
            round_, await self._read_entries_after(player, before.seq), before.total
        )
        return _render(
            "demo/round_result.html",
            **_build_game_context(_parse_game(form), round_),
            **_build_report_context(scenario, name, report),
        )

    async def render_entry(self, request: Request) -> Response:
        """Render a row's request and reply, and the command that repeats the call."""
        journaled_entry = await self._find_entry(request)
        return _render(
            "demo/entry_detail.html",
            entry=journaled_entry.entry,
            request=manual_calls.find_request(journaled_entry),
            reply=journaled_entry.journal_record.reply if journaled_entry.journal_record else None,
            repeat_command=manual_calls.format_repeat_command(journaled_entry, self._calls_url),
        )

    async def replay_entry(self, request: Request) -> Response:
        """Repeat the row's provider call. Render the reply and the balances before and after."""
        entry, owner, _ = await self._find_entry(request)
        player = self._find_player(owner.player_id)
        before = await self._read_latest_balance(player)
        try:
            call = manual_calls.rebuild_call(entry, player.token)
            call = call._replace(player_id=player.player_id, currency=player.currency)
            agent = await get_agent(self._wallet.store, DEMO_AGENT)
            secret = await manual_calls.require_secret(self._wallet.store, entry.protocol, agent)
            call_result = await manual_calls.make_call(
                self._calls_url, entry.protocol, call, self._wallet.clock_ms(), secret=secret
            )
        except OperationError as error:
            raise HTTPException(404) from error
        new_entries = await self._read_entries_after(player, before.seq)
        same = (entry.protocol, entry.kind, entry.id)
        repeated_seqs = [each.seq for each in new_entries if (each.protocol, each.kind, each.id) == same]
        after = await self._read_latest_balance(player)
        return _render(
            "demo/replay_result.html",
            call_result=call_result,
            entry=entry,
            before=before,
            after=after,
            repeated_seqs=repeated_seqs,
            other_count=len(new_entries) - len(repeated_seqs),
            currency=player.currency,
        )

    async def _find_entry(self, request: Request) -> JournaledEntry:
        """Return the row in the path. Raise 404 unless it belongs to a player of the page."""
        seq = request.path_params["seq"]
        journaled_entry = await self._wallet.store.ledger.find_journaled_entry(seq) if seq <= MAX_CENTS else None
        if (
            journaled_entry is None
            or journaled_entry.owner.agent != DEMO_AGENT
            or journaled_entry.owner.player_id not in self._players
        ):
            raise HTTPException(404)
        return journaled_entry

    def _find_player(self, player_id: str) -> DemoPlayer:
        if player_id not in self._players:
            raise HTTPException(404)
        return self._players[player_id]

    async def _read_entries_after(self, player: DemoPlayer, seq: int) -> list[Entry]:
        """Return the player's entries after this one, the oldest first."""
        entries: list[Entry] = []
        newest = await self._wallet.store.ledger.count_entries()
        while seq < newest:
            page = await self._wallet.store.ledger.read_entries_after(_build_account_filter(player), seq, BATCH_SIZE)
            assert page.next_seq is not None
            entries += [row.entry for row in page.rows]
            seq = page.next_seq
        return entries

    async def _read_latest_balance(self, player: DemoPlayer) -> "_LatestBalance":
        page = await self._wallet.store.ledger.read_page(_build_account_filter(player), None, 1)
        return _get_latest_balance([row.entry for row in page.rows])

    async def _build_account_context(self, player: DemoPlayer) -> dict[str, object]:
        rows = [
            row.entry
            for row in (await self._wallet.store.ledger.read_page(_build_account_filter(player), None, CHART_ROWS)).rows
        ]
        points = [[entry.seq, entry.at_ms, entry.cash_after + entry.bonus_after] for entry in reversed(rows)]
        return {"player": player, "rows": rows[:LISTED_ROWS], "latest": _get_latest_balance(rows), "points": points}


class _LatestBalance(NamedTuple):
    """The account's newest row, and the balance after it, in cents."""

    seq: int
    cash: int
    bonus: int

    @property
    def total(self) -> int:
        return self.cash + self.bonus


def _render(template: str, **context: object) -> Response:
    return HTMLResponse(render_string(template, **context))


def _get_latest_balance(rows: Sequence[Entry]) -> _LatestBalance:
    """Return the balance after the newest of the rows, which are sorted newest first."""
    return _LatestBalance(rows[0].seq, rows[0].cash_after, rows[0].bonus_after) if rows else _LatestBalance(0, 0, 0)


def _build_account_filter(player: DemoPlayer) -> Filter:
    return Filter(agent=DEMO_AGENT, player_id=player.player_id, currency=player.currency)


def _parse_game(fields: Mapping[str, str]) -> DemoGame:
    game = find_game(fields.get("game", GAMES[0].code))
    if game is None:
        raise HTTPException(404)
    return game


def _parse_protocol(fields: Mapping[str, str]) -> str:
    played = list_played_protocols()
    protocol = fields.get("protocol", played[0])
    if protocol not in played:
        raise HTTPException(404)
    return protocol


def _parse_stake(text: str) -> int:
    """Return the stake in cents. Raise ValueError if it is not an amount or out of range."""
    cents = parse_amount(text.strip())
    if not 1 <= cents <= MAX_STAKE_CENTS:
        raise ValueError(f"invalid stake {text.strip()!r:.20}: must be from 0.01 to {format_money(MAX_STAKE_CENTS)}")
    return cents


def _build_play_request(
    player: DemoPlayer, form: Mapping[str, str], stake: int, scenario: FaultScenario | None
) -> PlayRequest:
    game = _parse_game(form)
    choice = form.get("choice", game.choices[0])
    scenario = scenario or FaultScenario()
    return PlayRequest(
        _parse_protocol(form),
        game.code,
        player.token,
        player.player_id,
        player.currency,
        stake,
        choice if choice in game.choices else "",
        scenario.faults,
        scenario.target,
        scenario.requires_win,
    )


def _build_game_context(game: DemoGame, round_: RoundResponse | None) -> dict[str, object]:
    """Return the template context of a game. It shows the result only of a round that is done."""
    finished_play = round_.play if round_ and round_.ending == "done" else None
    context: dict[str, object] = {
        "game": game,
        "round": round_,
        "outcome": game_view.describe_outcome(round_) if round_ else "",
        "choice": round_.play.choice if round_ else game.choices[0],
    }
    match game.code:
        case "slot":
            return {
                **context,
                "reels": game_view.build_reels(finished_play),
                "paytable": game_view.PAYTABLE,
                "symbols": game_view.SYMBOL_NAMES,
            }
        case "fish":
            bullets = game_view.count_bullets(finished_play)
            return {
                **context,
                "catches": game_view.list_catches(finished_play),
                "bullets": bullets,
                "fish": game_view.FISH_VALUES,
            }
        case _:
            return {**context, "signs": game_view.build_signs(finished_play), "outside_bets": game_view.OUTSIDE_BETS}


def _build_report_context(scenario: FaultScenario | None, name: str, report: ScenarioReport) -> dict[str, object]:
    return {
        "scenario": scenario,
        "has_occurred": scenario is not None and scenarios.has_occurred(name, report),
        "report": report,
    }
