"""The audit log: every change of the operator with its actor, who is in the ledger entry of a transfer too."""

import json
from typing import TypeVar, get_args

import pytest
from pydantic import BaseModel

from minwallet.operations import access_requests, requests
from minwallet.operations.audit_log import AUDITED
from minwallet.operations.dispatch import execute
from minwallet.operations.errors import ErrorCode, OperationFailure
from minwallet.storage.admin_store import AuditEvent, KeyScope
from minwallet.storage.models import PlayerStatus
from minwallet.wallet.protocol_secrets import compute_fingerprint
from minwallet.wallet.service import Wallet
from tests.storage.reference_engine.memory_store import MemoryStore

TOKEN = "a_secret_token"

pytestmark = pytest.mark.anyio

RequestT = TypeVar("RequestT", bound=BaseModel)


def build_ann_request(request: type[RequestT], **fields: object) -> RequestT:
    """Return the request about ann of the default agent."""
    return request.model_validate({"agent": "default", "player_id": "ann", **fields})


AUDITED_REQUESTS: list[requests.OperationRequest] = [
    requests.AgentAdd(name="two", wallet_token="two", host_id="h"),
    requests.AgentSet(name="two", service_url="https://p.example"),
    build_ann_request(requests.PlayerAdd, currency="USD", balance=500),
    build_ann_request(requests.PlayerSetStatus, status=PlayerStatus.BLOCKED),
    build_ann_request(requests.Transfer, operation="deposit", amount=100, reference="r1", reason="won a raffle"),
    build_ann_request(requests.Transfer, operation="withdraw", amount=50, reference="r2"),
    build_ann_request(requests.Adjustment, amount=-50, reference="r3", reason="counted twice"),
    requests.Seed(rows=(requests.SeedRow(line=1, player_id="bob", currency="USD", balance=1, token=TOKEN),)),
    build_ann_request(requests.SessionOpen, ttl_s=60),
    requests.SessionRevoke(token=TOKEN),
    build_ann_request(requests.SessionEnd, session=2),
    access_requests.KeyAdd(name="site", scope=KeyScope.READ),
    access_requests.KeyRevoke(name="site"),
    access_requests.CallbackKeyAdd(agent="two"),
    access_requests.CallbackKeyRevoke(agent="two", key_prefix="mwc_"),
    access_requests.ProtocolSecretAdd(agent="two", protocol="signed", secret=TOKEN),
    access_requests.ProtocolSecretRevoke(
        agent="two", protocol="signed", fingerprint=compute_fingerprint("two", "signed", TOKEN)
    ),
    access_requests.AdminLink(name="anna"),
    access_requests.AdminReset(name="anna"),
    build_ann_request(requests.LimitSet, kind="loss", per="week", amount=None, currency="USD"),
    build_ann_request(requests.LimitSet, kind="deposit", per="day", amount=0),
    build_ann_request(requests.PlayerExclude, until="2027-01-31T00:00:00Z"),
    build_ann_request(requests.PlayerExclude, until=None),
]


async def execute_all(*operations: requests.OperationRequest) -> tuple[MemoryStore, list[AuditEvent]]:
    """Execute all requests as ann's boss. Return the store and the audit log, oldest first."""
    wallet = Wallet(store := MemoryStore(), lambda: 1000)
    for request in operations:
        reply = await execute(wallet, request, "admin boss")
        assert not isinstance(reply, OperationFailure), reply
    return store, [each.event for each in await store.admin.list_audit_records(None, 99)][::-1]


async def test_every_change_is_audited_without_secrets() -> None:
    """Events are in order, with their actor."""
    store, actions = await execute_all(*AUDITED_REQUESTS)
    assert [action.action for action in actions] == [request.operation for request in AUDITED_REQUESTS]
    assert {action.actor for action in actions} == {"admin boss"}
    assert {type(request) for request in AUDITED_REQUESTS} == set(AUDITED)
    kept = json.dumps(actions) + str(store.state.keys) + str(store.state.login_links)
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


async def test_a_part_of_a_seed_names_its_lines() -> None:
    """Otherwise the audit log would have many equal rows for one file."""
    row = requests.SeedRow(line=2, player_id="bob", currency="USD", balance=1)
    _, (action,) = await execute_all(requests.Seed(rows=(row,), lines="2 to 201"))
    assert action.detail == '{"lines":"2 to 201"}'


async def test_a_removed_limit_is_audited() -> None:
    """The removal of a limit and the end of an exclusion have an explicit null."""
    _, actions = await execute_all(AUDITED_REQUESTS[2], *AUDITED_REQUESTS[-4:])
    assert [action.detail for action in actions[1:]] == [
        '{"currency":"USD","kind":"loss","per":"week","amount":null}',
        '{"kind":"deposit","per":"day","amount":0}',
        '{"until":"2027-01-31T00:00:00Z"}',
        '{"until":null}',
    ]


async def test_read_only_requests_are_not_audited() -> None:
    """These are all other requests."""
    read_only = {
        requests.AgentShow,
        requests.AgentList,
        requests.PlayerList,
        requests.PlayerSearch,
        requests.PlayerShow,
    }
    read_only |= {
        requests.LimitList,
        requests.SessionList,
        access_requests.KeyList,
        access_requests.CallbackKeyList,
        access_requests.ProtocolSecretList,
        access_requests.AdminList,
        requests.LedgerRead,
        requests.TransactionShow,
    }
    read_only |= {requests.LimitList}
    provider_data = {requests.GamesSave, requests.ReportSave}
    assert set(get_args(requests.OperationRequest)) == set(AUDITED) | read_only | provider_data
    _, actions = await execute_all(
        AUDITED_REQUESTS[2],
        build_ann_request(requests.PlayerShow),
        build_ann_request(requests.LedgerRead),
        access_requests.KeyList(),
    )
    assert [action.action for action in actions] == ["player_add"]


async def test_the_ledger_stores_actor_and_reason_of_a_transfer() -> None:
    """It is covered by the hash chain, and is not part of the content that a retry must repeat."""
    again = build_ann_request(requests.Transfer, operation="deposit", amount=100, reference="r1", reason="other words")
    store, _ = await execute_all(AUDITED_REQUESTS[2], AUDITED_REQUESTS[4], AUDITED_REQUESTS[5], again)
    entries = await store.ledger.read_entries([1], 9)
    details = [json.loads(entry.detail or "null") for entry in entries]
    assert details == [{"by": "admin boss"}, {"by": "admin boss", "reason": "won a raffle"}, None]


async def test_a_replayed_transfer_is_not_audited_again() -> None:
    """The same reference moves money once, whichever actor repeats it."""
    _, actions = await execute_all(AUDITED_REQUESTS[2], AUDITED_REQUESTS[4], AUDITED_REQUESTS[4])
    assert [action.action for action in actions] == ["player_add", "deposit"]


async def test_a_failed_request_is_not_audited() -> None:
    """It changes nothing, and its code tells programs why."""
    wallet = Wallet(store := MemoryStore())
    cases: dict[requests.OperationRequest, ErrorCode] = {
        build_ann_request(requests.PlayerSetStatus, status=PlayerStatus.BLOCKED): ErrorCode.NOT_FOUND,
        requests.AgentAdd(name="default"): ErrorCode.TAKEN,
        access_requests.KeyRevoke(name="none"): ErrorCode.NOT_FOUND,
        access_requests.KeyAdd(name="k", scope=KeyScope.READ, agent="none"): ErrorCode.NOT_FOUND,
    }
    for request, why in cases.items():
        reply = await execute(wallet, request, "admin boss")
        assert isinstance(reply, OperationFailure)
        assert reply.code is why
    assert await store.admin.list_audit_records(None, 9) == []
