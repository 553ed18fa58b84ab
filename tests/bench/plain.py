"""The wallet one would write in an afternoon: Starlette and aiosqlite, and a commit of its own for every bet."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiosqlite
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

SCHEMA = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    CREATE TABLE players (token TEXT PRIMARY KEY, credit INTEGER NOT NULL);
    CREATE TABLE bets (id TEXT PRIMARY KEY, token TEXT NOT NULL, bet INTEGER NOT NULL, credit INTEGER NOT NULL);
"""

PLAYERS = 1_000


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with aiosqlite.connect(sys.argv[2], isolation_level=None) as db:
        await db.executescript(SCHEMA)
        rows = [(f"bench_{number}", 10**15) for number in range(PLAYERS)]
        await db.execute("BEGIN")
        await db.executemany("INSERT INTO players VALUES (?, ?)", rows)
        await db.execute("COMMIT")
        app.state.db = db
        app.state.lock = asyncio.Lock()
        yield


async def wallet(request: Request) -> JSONResponse:
    call = await request.json()
    db = request.app.state.db
    async with request.app.state.lock:
        await db.execute("BEGIN IMMEDIATE")
        rows = await db.execute_fetchall("SELECT credit FROM players WHERE token = ?", (call["code"],))
        credit = rows[0][0] - call["bet"]
        await db.execute("UPDATE players SET credit = ? WHERE token = ?", (credit, call["code"]))
        await db.execute("INSERT INTO bets VALUES (?, ?, ?, ?)", (str(call["id"]), call["code"], call["bet"], credit))
        await db.execute("COMMIT")
    return JSONResponse({"result": 1, "credit": credit})


app = Starlette(routes=[Route("/wallet", wallet, methods=["POST"])], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, ws="none")
