"""The demo page and its parts: what is played, the live ledger, and each row's request, reply and replay."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from minwallet.demo.games import GAMES, Game, find_game
from minwallet.ledger.entries import Entry
from minwallet.ledger.money import MAX_CENTS, parse_amount
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import PROTOCOLS
from minwallet.provider import calls
from minwallet.storage.models import JournaledEntry
from minwallet.storage.queries import Filter, OwnedEntry
from minwallet.wallet.feed import BATCH_SIZE
from minwallet.wallet.service import Wallet
from minwallet.web.demo import board, stories
from minwallet.web.demo.stories import OVER_BALANCE, TRICKS, Story, Trick
from minwallet.web.demo.table import MOST_STAKE, NoGame, RoundTold, Wanted, play
from minwallet.web.formatting import format_money
from minwallet.web.sse import stream_entries
from minwallet.web.templating import render_string

AGENT = "default"

SHOWN_ROWS, DRAWN_ROWS = 25, 80
"""How many rows of the ledger are listed at first, and how many drawn."""

HOSTS = ("127.0.0.1", "localhost")

Handler = Callable[[Request], Awaitable[Response]]


class DemoPlayer(NamedTuple):
    """Somebody who plays on the page, with the token of a session that lasts."""

    player_id: str
    currency: str
    token: str


class Stage(NamedTuple):
    """Where the demo plays: the provider's own address, and the players."""

    provider_url: str
    players: Sequence[DemoPlayer]


def routes(wallet: Wallet, stage: Stage, calls_url: str) -> list[Route]:
    """Everything below `/demo`. `calls_url` is where this wallet takes provider calls."""
    page = _Page(wallet, stage, calls_url)
    return [
        Route("/demo", _guarded(page.show)),
        Route("/demo/game", _guarded(page.show_game)),
        Route("/demo/money", _guarded(page.show_money)),
        Route("/demo/feed", _guarded(page.feed)),
        Route("/demo/play", _guarded(page.play), methods=["POST"]),
        Route("/demo/entries/{seq:int}", _guarded(page.show_entry)),
        Route("/demo/entries/{seq:int}/replay", _guarded(page.replay), methods=["POST"]),
    ]


def _guarded(answer: Handler) -> Handler:
    """The same, for pages of this machine only: a name of somebody else's that leads here is turned away, and so is
    what another site sends."""

    async def guarded(request: Request) -> Response:
        host = request.headers.get("host", "")
        if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
            raise HTTPException(403)
        if request.method == "POST":
            sent_by = request.headers.get("sec-fetch-site")
            origin = request.headers.get("origin", f"http://{host}")
            if sent_by not in (None, "same-origin") or origin != f"http://{host}":
                raise HTTPException(403)
        return await answer(request)

    return guarded


class _Page:
    def __init__(self, wallet: Wallet, stage: Stage, calls_url: str) -> None:
        self._wallet = wallet
        self._provider_url = stage.provider_url
        self._players = {player.player_id: player for player in stage.players}
        self._calls_url = calls_url

    async def show(self, request: Request) -> Response:
        """The whole page."""
        player = self._player(request.query_params.get("player", next(iter(self._players))))
        game, protocol = _game(request.query_params), _protocol(request.query_params)
        return _html(
            "demo/page.html",
            players=list(self._players.values()),
            games=GAMES,
            protocols=list(PROTOCOLS),
            protocol=protocol,
            tricks=TRICKS,
            **_game_context(game, None),
            **await self._money_context(player),
        )

    async def show_game(self, request: Request) -> Response:
        """Another game on the stage."""
        return _html("demo/game.html", **_game_context(_game(request.query_params), None))

    async def show_money(self, request: Request) -> Response:
        """Another player's money."""
        player = self._player(request.query_params.get("player", ""))
        return _html("demo/money.html", partial=True, **await self._money_context(player))

    async def feed(self, request: Request) -> Response:
        """New rows of a player's ledger as they are committed."""
        player = self._player(request.query_params.get("player", ""))

        def show(listed: OwnedEntry) -> str:
            newest = _newest([listed.entry])
            return render_string("demo/news.html", entry=listed.entry, player=player, newest=newest, fresh=True)

        return await stream_entries(self._wallet, request, _account(player), show, event="", subscriber="demo")

    async def play(self, request: Request) -> Response:
        """One round, asked of the provider; what came of it, and what the wallet did."""
        form = dict(parse_qsl((await request.body()).decode("ascii", "replace")))
        player, name = self._player(form.get("player", "")), form.get("trick", "")
        trick = TRICKS.get(name)
        try:
            before = await self._newest(player)
            stake = before.total + OVER_BALANCE if name == "too-little" else _stake(form.get("stake", ""))
            round_ = await play(self._provider_url, _wanted(player, form, stake, trick))
        except (NoGame, ValueError) as error:
            return _html("demo/complaint.html", complaint=f"{error}")
        story = stories.tell(round_, await self._since(player, before.seq), before.total)
        return _html("demo/played.html", **_game_context(_game(form), round_), **_told(trick, name, story))

    async def show_entry(self, request: Request) -> Response:
        """A row's request and reply, and how to make the call again."""
        recorded = await self._recorded(request)
        asked, reply = calls.request_of(recorded), recorded.journal_record.reply if recorded.journal_record else None
        curl = calls.as_curl(self._calls_url, asked) if asked else None
        return _html("demo/entry.html", entry=recorded.entry, request=asked, reply=reply, curl=curl)

    async def replay(self, request: Request) -> Response:
        """Make the row's provider call once more, and see whether any money moves."""
        entry, owner, _ = await self._recorded(request)
        player = self._player(owner.player_id)
        try:
            call = calls.recall(entry, player.token)
        except OperationError as decline:
            raise HTTPException(404) from decline
        before = await self._newest(player)
        made = await asyncio.to_thread(calls.make, self._calls_url, entry.protocol, call, self._wallet.clock_ms())
        since = await self._since(player, before.seq)
        same = (entry.protocol, entry.kind, entry.id)
        again = [each.seq for each in since if (each.protocol, each.kind, each.id) == same]
        after = await self._newest(player)
        return _html(
            "demo/replayed.html",
            made=made,
            entry=entry,
            before=before,
            after=after,
            again=again,
            others=len(since) - len(again),
            currency=player.currency,
        )

    async def _recorded(self, request: Request) -> JournaledEntry:
        """The row that is asked for, if it is one of the players'."""
        seq = request.path_params["seq"]
        recorded = await self._wallet.store.find_journaled_entry(seq) if seq <= MAX_CENTS else None
        if recorded is None or recorded.owner.agent != AGENT or recorded.owner.player_id not in self._players:
            raise HTTPException(404)
        return recorded

    def _player(self, player_id: str) -> DemoPlayer:
        if player_id not in self._players:
            raise HTTPException(404)
        return self._players[player_id]

    async def _since(self, player: DemoPlayer, seq: int) -> list[Entry]:
        """The player's entries after this one, the oldest first."""
        entries: list[Entry] = []
        newest = await self._wallet.store.count_entries()
        while seq < newest:
            page = await self._wallet.store.read_entries_after(_account(player), seq, BATCH_SIZE)
            assert page.next_seq is not None
            entries += [row.entry for row in page.rows]
            seq = page.next_seq
        return entries

    async def _newest(self, player: DemoPlayer) -> "_Newest":
        page = await self._wallet.store.read_page(_account(player), None, 1)
        return _newest([row.entry for row in page.rows])

    async def _money_context(self, player: DemoPlayer) -> dict[str, object]:
        rows = [row.entry for row in (await self._wallet.store.read_page(_account(player), None, DRAWN_ROWS)).rows]
        points = [[entry.seq, entry.at_ms, entry.cash_after + entry.bonus_after] for entry in reversed(rows)]
        return {"player": player, "rows": rows[:SHOWN_ROWS], "newest": _newest(rows), "points": points}


class _Newest(NamedTuple):
    """The account's newest row, and what there was after it, in cents."""

    seq: int
    cash: int
    bonus: int

    @property
    def total(self) -> int:
        return self.cash + self.bonus


def _html(template: str, **context: object) -> Response:
    return HTMLResponse(render_string(template, **context))


def _newest(rows: Sequence[Entry]) -> _Newest:
    """Of rows that are sorted newest first."""
    return _Newest(rows[0].seq, rows[0].cash_after, rows[0].bonus_after) if rows else _Newest(0, 0, 0)


def _account(player: DemoPlayer) -> Filter:
    return Filter(agent=AGENT, player_id=player.player_id, currency=player.currency)


def _game(said: Mapping[str, str]) -> Game:
    game = find_game(said.get("game", GAMES[0].code))
    if game is None:
        raise HTTPException(404)
    return game


def _protocol(said: Mapping[str, str]) -> str:
    protocol = said.get("protocol", next(iter(PROTOCOLS)))
    if protocol not in PROTOCOLS:
        raise HTTPException(404)
    return protocol


def _stake(text: str) -> int:
    """Cents of what was typed; ValueError, in words."""
    cents = parse_amount(text.strip())
    if not 1 <= cents <= MOST_STAKE:
        raise ValueError(f"a stake is from 0.01 to {format_money(MOST_STAKE)}")
    return cents


def _wanted(player: DemoPlayer, form: Mapping[str, str], stake: int, trick: Trick | None) -> Wanted:
    game = _game(form)
    choice = form.get("choice", game.choices[0])
    trick = trick or Trick()
    return Wanted(
        _protocol(form),
        game.code,
        player.token,
        stake,
        choice if choice in game.choices else "",
        trick.misbehave,
        trick.at,
        trick.is_lucky,
    )


def _game_context(game: Game, round_: RoundTold | None) -> dict[str, object]:
    """What the stage shows; symbols and animals only of a round that is done."""
    done = round_.play if round_ and round_.ending == "done" else None
    context: dict[str, object] = {
        "game": game,
        "round": round_,
        "outcome": board.outcome(round_) if round_ else "",
        "choice": round_.play.choice if round_ else game.choices[0],
    }
    match game.code:
        case "slot":
            return {**context, "reels": board.reels(done), "pays": board.PAYS, "symbols": board.SYMBOLS}
        case "fish":
            bullets = board.bullets(done)
            return {**context, "catches": board.catches(done), "bullets": bullets, "fish": board.FISH}
        case _:
            return {**context, "signs": board.signs(done), "outside": board.OUTSIDE}


def _told(trick: Trick | None, name: str, story: Story) -> dict[str, object]:
    return {"trick": trick, "struck": trick is not None and stories.struck(name, story), "story": story}
