"""The HTML of the provider's pages: one inline style sheet, no scripts and no external resources."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape

from minwallet.demo.dealer import build_game_url
from minwallet.demo.game_rules import GAMES, DemoGame
from minwallet.demo.round_policy import RoundEnding
from minwallet.demo.round_store import RoundRecord
from minwallet.demo.simulator import PlayerSession
from minwallet.demo.wallet_client import CallRecord
from minwallet.ledger.money import format_amount
from minwallet.protocols.wire import Launch

MAX_SHOWN_CALLS = 12

STYLE = """
:root { color-scheme: dark; font: 17px/1.5 system-ui, sans-serif; background: #10241d; color: #eef3ee }
body { max-width: 40rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.8rem; margin: .2rem 0 } h2 { font-size: 1.25rem; margin: 0 } .card p { margin: .4rem 0 }
a { color: #ffd36b; text-decoration: none } a:hover { text-decoration: underline }
.note { color: #a9c2b5; font-size: .9rem; margin: .3rem 0 }
.card { background: #1b3a2f; border-radius: 14px; padding: 1.1rem 1.3rem; margin: 1rem 0 }
.balance { display: flex; justify-content: space-between; flex-wrap: wrap; gap: .3rem 1rem; align-items: baseline }
.balance b { font-size: 1.3rem; font-variant-numeric: tabular-nums }
.badge { background: #ffd36b; color: #2b2208; border-radius: 99px; padding: .1rem .7rem; font-size: .85rem }
.shown { display: flex; flex-wrap: wrap; gap: .6rem; justify-content: center; margin: .4rem 0 1rem }
.shown span { background: #f7f4e8; color: #23201a; border-radius: 10px; padding: .3rem .8rem; font-size: 1.15rem }
.slot .shown span { font-size: 3rem; line-height: 1.3; min-width: 2.9rem; text-align: center }
.outcome { text-align: center; font-weight: 600; margin: 0 }
.error { color: #ffb4a2 }
form { display: flex; flex-wrap: wrap; gap: .8rem; align-items: end }
label { font-size: .85rem; color: #a9c2b5; flex: 1 1 8rem }
input, select { display: block; width: 100%; height: 2.7rem; box-sizing: border-box; font: inherit; padding: 0 .7rem;
  margin-top: .2rem; border: 1px solid #3d6b59; border-radius: 8px; background: #10241d; color: inherit }
button { font: inherit; font-weight: 600; height: 2.7rem; border: 0; border-radius: 8px; cursor: pointer;
  background: #ffd36b; color: #2b2208; flex: 1 1 8rem }
table { width: 100%; border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums }
.wide { overflow-x: auto }
th { text-align: left; color: #a9c2b5; font-weight: 400 } th, td { padding: .15rem .5rem .15rem 0 }
"""


def render_lobby(protocols: Sequence[str]) -> str:
    """Return the list of games, with links for guests in each of these protocols that builds launch URLs."""
    cards = "".join(
        f'<div class="card"><h2>{escape(game.titles["en"])}</h2><p>{escape(game.rules)}</p>'
        f"<p>Play as a guest with {' · '.join(_render_guest_links(game, protocols))}</p></div>"
        for game in GAMES
    )
    intro = (
        "This small game provider has three games. It calls your wallet over HTTP, as a real provider does. "
        "Guests play with demo credit, without a wallet."
    )
    return _render_document("Demo provider", f'<h1>Demo provider</h1><p class="note">{intro}</p>{cards}')


def _render_guest_links(game: DemoGame, protocols: Sequence[str]) -> Iterator[str]:
    for protocol in protocols:
        with suppress(NotImplementedError):
            url = build_game_url(protocol, "", game, Launch("", "", "en"))
            yield f'<a href="{escape(url)}">{escape(protocol)}</a>'


def render_game(
    game: DemoGame, lang: str, session: PlayerSession, played: RoundRecord | None = None, error: str = ""
) -> str:
    """Return the page of a game, with the outcome of the last round."""
    title = game.titles.get({"ch": "cn", "zh": "cn"}.get(lang, lang), game.titles["en"])
    parts = [
        f'<p class="note"><a href="/">All games</a> · {escape(session.protocol)}</p><h1>{escape(title)}</h1>',
        f'<p class="note">{escape(game.rules)}</p>',
        _render_balance(session),
        _render_outcome(played) if played else "",
        f'<p class="error">{escape(error[:1].upper() + error[1:])}.</p>' if error else "",
        _render_form(game, played),
        _render_calls(played.sent[-MAX_SHOWN_CALLS:]) if played and played.sent else "",
    ]
    return _render_document(title, f'<main class="{game.code}">{"".join(parts)}</main>')


def render_refusal(message: str) -> str:
    """Return the page that says why the game cannot be opened."""
    return _render_document(
        "Cannot open the game",
        f'<h1>Cannot open the game</h1><p class="card">{escape(message)}</p><p><a href="/">All games</a></p>',
    )


def _render_document(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>"
    )


def _render_balance(session: PlayerSession) -> str:
    money = f"<b>{format_amount(session.balance)} {escape(session.currency)}</b>"
    if session.token is None:
        note = "Guests play without money. The provider calls no wallet."
        who = f'<span class="badge">demo credit</span><span class="note">{note}</span>'
    else:
        who = f"<span>{escape(session.player_id)}</span>"
    return f'<div class="card balance">{who}{money}</div>'


def _render_outcome(played: RoundRecord) -> str:
    on = f" on {played.play.choice}" if played.play.choice else ""
    stake, payout = (f"{format_amount(cents)} {played.currency}" for cents in (played.play.stake, played.play.payout))
    sentence = {
        RoundEnding.DONE: f"Staked {stake}{on}, paid out {payout}",
        RoundEnding.REJECTED: f"The wallet refused the bet of {stake}. No money moved",
        RoundEnding.CANCELLED: f"The wallet did not reply in time. The bet of {stake} was cancelled and paid back",
        None: "The wallet has not replied yet. The round stays pending until it replies",
    }[played.ending]
    shown = "".join(f"<span>{escape(piece)}</span>" for piece in played.play.shown)
    pieces = f'<div class="shown">{shown}</div>' if played.ending is RoundEnding.DONE else ""
    return f'<div class="card">{pieces}<p class="outcome">{escape(sentence)}.</p></div>'


def _render_form(game: DemoGame, played: RoundRecord | None) -> str:
    stake = format_amount(played.play.stake if played else 100)
    chosen = played.play.choice if played else game.choices[0]
    options = "".join(
        f"<option{' selected' if choice == chosen else ''}>{escape(choice)}</option>" for choice in game.choices
    )
    select = f'<label>Bet on<select name="choice">{options}</select></label>' if len(game.choices) > 1 else ""
    return (
        '<form class="card" method="post">'
        f'<label>Stake<input name="stake" inputmode="decimal" value="{stake}"></label>'
        f"{select}<button>Play</button></form>"
    )


def _render_calls(sent: Sequence[CallRecord]) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.call.operation)}</td><td>{_describe_answer(each.received_code)}</td>"
        f"<td>{', '.join(each.faults)}</td><td>{escape(each.id)}</td></tr>"
        for each in sent
    )
    head = "<tr><th>call</th><th>reply</th><th>faults</th><th>id</th></tr>"
    return f'<div class="card wide"><p class="note">Calls to the wallet</p><table>{head}{rows}</table></div>'


def _describe_answer(answer: int | str | None) -> str:
    return "no reply" if answer is None else "success" if answer == 0 else f"refused ({escape(str(answer))})"
