"""Who did what: whatever the operator changes is on record, and who moved money stands in the ledger as well."""

import asyncio
import json
from typing import TypeVar, get_args

from pydantic import BaseModel

from minwallet.storage.admin_store import AuditEvent, KeyScope
from minwallet.storage.models import PlayerStatus
from minwallet.wallet import requests
from minwallet.wallet.decline import Declined, Why
from minwallet.wallet.desk import perform
from minwallet.wallet.office import CHANGES
from minwallet.wallet.service import Wallet
from tests.storage.reference_engine.memory_store import MemoryStore

TOKEN = "a_secret_token"

Asked = TypeVar("Asked", bound=BaseModel)


def of_ann(request: type[Asked], **fields: object) -> Asked:
    """The request, about ann of the default agent."""
    return request.model_validate({"agent": "default", "player_id": "ann", **fields})


MADE: list[requests.Request] = [
    requests.AgentAdd(name="two", wallet_token="two", host_id="h"),
    requests.AgentSet(name="two", service_url="https://p.example"),
    of_ann(requests.PlayerAdd, currency="USD", balance=500),
    of_ann(requests.PlayerSetStatus, status=PlayerStatus.BLOCKED),
    of_ann(requests.Transfer, do="deposit", amount=100, reference="r1", reason="won a raffle"),
    of_ann(requests.Transfer, do="withdraw", amount=50, reference="r2"),
    requests.Seed(rows=(requests.SeedRow(line=1, player_id="bob", currency="USD", balance=1, token=TOKEN),)),
    of_ann(requests.SessionOpen, ttl_s=60),
    requests.SessionRevoke(token=TOKEN),
    of_ann(requests.SessionEnd, session=2),
    requests.KeyAdd(name="site", scope=KeyScope.READ),
    requests.KeyRevoke(name="site"),
    requests.AdminLink(name="anna"),
    requests.AdminReset(name="anna"),
    of_ann(requests.LimitSet, kind="loss", per="week", amount=None, currency="USD"),
    of_ann(requests.LimitSet, kind="deposit", per="day", amount=0),
    of_ann(requests.PlayerExclude, until="2027-01-31T00:00:00Z"),
    of_ann(requests.PlayerExclude, until=None),
]


def record(*asked: requests.Request) -> tuple[MemoryStore, list[AuditEvent]]:
    """Have it all carried out by ann's boss; the store, and what is on record, oldest first."""
    wallet = Wallet(store := MemoryStore(), lambda: 1000)

    async def story() -> list[AuditEvent]:
        for request in asked:
            reply = await perform(wallet, request, "admin boss")
            assert not isinstance(reply, Declined), reply
        return [each.event for each in await store.list_audit_records(None, 99)][::-1]

    return store, asyncio.run(story())


def test_every_change_is_on_record_and_no_secret_is() -> None:
    """In the order in which it was made, with who made it."""
    store, actions = record(*MADE)
    assert [action.action for action in actions] == [request.do for request in MADE]
    assert {action.actor for action in actions} == {"admin boss"}
    assert {type(request) for request in MADE} == set(CHANGES)
    kept = json.dumps(actions) + str(store._keys) + str(store._login_links)
    assert TOKEN not in kept
    assert actions[4] == AuditEvent(
        1000,
        "admin boss",
        "deposit",
        "default",
        "ann",
        '{"amount":100,"bonus":false,"reference":"r1","reason":"won a raffle"}',
        2,
    )


def test_that_something_was_taken_away_is_on_record() -> None:
    """A limit that shall be none, and an exclusion that shall end, say so."""
    _, actions = record(MADE[2], *MADE[-4:])
    assert [action.detail for action in actions[1:]] == [
        '{"currency":"USD","kind":"loss","per":"week","amount":null}',
        '{"kind":"deposit","per":"day","amount":0}',
        '{"until":"2027-01-31T00:00:00Z"}',
        '{"until":null}',
    ]


def test_what_changes_nothing_is_not_on_record() -> None:
    """Every other request there is."""
    looks = {requests.AgentShow, requests.AgentList, requests.PlayerList, requests.PlayerSearch, requests.PlayerShow}
    looks |= {
        requests.LimitList,
        requests.SessionList,
        requests.KeyList,
        requests.AdminList,
        requests.LedgerRead,
        requests.RecordedShow,
    }
    looks |= {requests.LimitList}
    pulled = {requests.GamesKeep, requests.ReportKeep}
    assert set(get_args(requests.Request)) == set(CHANGES) | looks | pulled
    _, actions = record(MADE[2], of_ann(requests.PlayerShow), of_ann(requests.LedgerRead), requests.KeyList())
    assert [action.action for action in actions] == ["player_add"]


def test_who_moved_money_and_why_stands_in_the_ledger() -> None:
    """Under the chain of hashes, where nobody can change it; it is no part of the reference's content."""
    again = of_ann(requests.Transfer, do="deposit", amount=100, reference="r1", reason="other words")
    store, _ = record(MADE[2], MADE[4], MADE[5], again)
    entries = asyncio.run(store.read_entries([1], 9))
    details = [json.loads(entry.detail or "null") for entry in entries]
    assert details == [{"by": "admin boss"}, {"by": "admin boss", "reason": "won a raffle"}, None]


def test_what_was_done_before_is_not_on_record_again() -> None:
    """The same reference moves money once, whoever sends it twice."""
    _, actions = record(MADE[2], MADE[4], MADE[4])
    assert [action.action for action in actions] == ["player_add", "deposit"]


def test_what_is_declined_is_not_on_record() -> None:
    """It changed nothing; a program can tell why."""

    async def story() -> None:
        wallet = Wallet(store := MemoryStore())
        cases: dict[requests.Request, Why] = {
            of_ann(requests.PlayerSetStatus, status=PlayerStatus.BLOCKED): Why.NOT_FOUND,
            requests.AgentAdd(name="default"): Why.TAKEN,
            requests.KeyRevoke(name="none"): Why.NOT_FOUND,
            requests.KeyAdd(name="k", scope=KeyScope.READ, agent="none"): Why.NOT_FOUND,
        }
        for request, why in cases.items():
            reply = await perform(wallet, request, "admin boss")
            assert isinstance(reply, Declined)
            assert reply.why is why
        assert await store.list_audit_records(None, 9) == []

    asyncio.run(story())
