"""A typical wallet with FastAPI and SQLAlchemy: one session and one commit for each request. It gets the best
settings. One connection is pooled, because SQLite has one writer and more connections would retry. Its commits are
as durable as minwallet's, and uvicorn uses the same event loop and parser."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import BigInteger, ForeignKey, event, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

PLAYERS = 1_000

engine = create_async_engine(f"sqlite+aiosqlite:///{sys.argv[2]}", pool_size=1, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)


@event.listens_for(engine.sync_engine, "connect")
def make_durable(connection: DBAPIConnection, record: object) -> None:
    del record
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(unique=True)
    credit: Mapped[int] = mapped_column(BigInteger)


class Transaction(Base):
    __tablename__ = "transactions"

    id: Mapped[int] = mapped_column(primary_key=True)
    provider_id: Mapped[int] = mapped_column(BigInteger, unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    kind: Mapped[str]
    game: Mapped[str]
    round_id: Mapped[int] = mapped_column(BigInteger)
    amount: Mapped[int] = mapped_column(BigInteger)
    credit_after: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]


class Bet(BaseModel):
    type: str
    code: str
    id: int
    round_id: int
    game: int | str
    bet: int
    time: str | None = None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    del app
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with new_session() as session, session.begin():
        session.add_all(Account(token=f"bench_{number}", credit=10**12) for number in range(PLAYERS))
    yield
    await engine.dispose()


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


app = FastAPI(lifespan=lifespan)


@app.post("/wallet")
async def wallet(bet: Bet, session: Annotated[AsyncSession, Depends(get_session)]) -> dict[str, object]:
    account = await session.scalar(select(Account).where(Account.token == bet.code))
    if account is None:
        return {"result": 0, "err_code": 102, "err_desc": "session not found"}
    known = await session.scalar(select(Transaction).where(Transaction.provider_id == bet.id))
    if known is not None:
        return {"result": 1, "credit": known.credit_after}
    if account.credit < bet.bet:
        return {"result": 0, "err_code": 105, "err_desc": "insufficient funds", "credit": account.credit}
    account.credit -= bet.bet
    session.add(
        Transaction(
            provider_id=bet.id,
            account_id=account.id,
            kind=bet.type,
            game=str(bet.game),
            round_id=bet.round_id,
            amount=-bet.bet,
            credit_after=account.credit,
            created_at=datetime.now(UTC),
        )
    )
    await session.commit()
    return {"result": 1, "credit": account.credit}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), log_config=None, access_log=False, ws="none")
