"""Secrets appear only where they belong: not in logs, answers, the process list, or files."""

import hmac
import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from tests.protocol_package import write_protocol_package
from tests.support import TIMEOUT_S, Server, running_server
from tests.web.login_client import PASSWORD, LoginClient, close_clients, create_login_link, extract_token

CALLBACK_KEY = "callback_key_0123456789abcdef"
SEEDED_TOKEN = "seeded_token_0123456789abcdef"
PROTOCOL_SECRET, REVOKED_SECRET = "protocol/secret/0123456789abcdef", "revoked/secret/0123456789abcdef"

PAGES = (
    *("/admin", "/admin/access", "/admin/access/audit-log", "/admin/settings", "/admin/transactions", "/admin/calls"),
    *("/admin/agents", "/metrics"),
)

JSON_CONTENT_TYPE = {"content-type": "application/json"}


class Secrets:
    """The secrets, by their kind."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def assert_none_in(self, text: str | bytes, where: str, *allowed: str) -> None:
        raw = text.encode() if isinstance(text, str) else text
        for what, secret in self.values.items():
            assert what in allowed or secret.encode() not in raw, f"{what} in {where}"


@pytest.fixture
def server(db: Path, tmp_path: Path) -> Iterator[Server]:
    seeds = tmp_path / "seeds.csv"
    seeds.write_text(f"player_id,currency,balance,bonus,token,agent\nseeded,USD,10.00,,{SEEDED_TOKEN},\n")
    packages = write_protocol_package(tmp_path / "packages")
    with running_server(db, MINWALLET_CALLBACK_KEY=CALLBACK_KEY, PYTHONPATH=str(packages)) as server:
        server.cli("seed", seeds)
        yield server
    close_clients()


def send_provider_calls(http: httpx2.Client, callback_key: str, token: str) -> Iterator[httpx2.Response]:
    """Send valid and invalid calls of both protocols, with the token in right and wrong places."""
    wallet, api = f"/{callback_key}/wallet", f"/{callback_key}/api"
    for fields in (
        {"type": "credit"},
        {"type": "bet", "bet": 5, "id": 1, "game": 1},
        {"type": "win", "win": 5, "id": 2, "game": 1},
        {"type": "bet", "bet": 10**9, "id": 3, "game": 1},
        {"type": token},
        {"type": "bet", "bet": token, "id": 4, "game": 1},
        {"type": "cancel", "id": 1},
    ):
        yield http.post(wallet, json={"code": token, **fields})
    yield http.post(wallet, content=f'{{"code":"{token}",', headers=JSON_CONTENT_TYPE)
    yield http.post(wallet, content=f'{{"code":"{token}","code":"{token}","type":"credit"}}', headers=JSON_CONTENT_TYPE)
    yield http.post(wallet, content=f'{{"code":"{token}","fill":"{"x" * 9000}"}}', headers=JSON_CONTENT_TYPE)
    yield http.post(f"{wallet}/{token}", json={"code": token, "type": "credit"})
    yield http.get(wallet, params={"code": token})
    query = f"access_token={token}&ticket_id=7&total_bet=5"
    for path in (
        f"{api}/user/authenticate?access_token={token}",
        f"{api}/bet?{query}",
        f"{api}/bet?{query}&access_token={token}",
        f"{api}/bet?access_token={quote(token[:5])}%{ord(token[5]):x}{token[6:]}&ticket_id=8&total_bet=5",
        f"{api}/bet?access_token={token}&ticket_id={token}&total_bet=5",
        f"{api}/result?access_token={token}&ticket_id=7&total_win=3",
        f"{api}/refund?access_token={token}",
        f"{api}/bet?{query}&fill={'x' * 3000}",
        f"{api}/nothing?{query}",
        f"/api/bet?{query}",
        f"/{token}",
    ):
        yield http.get(path)
    yield http.post(f"{api}/bet?{query}")
    yield http.request("BREW", f"{api}/bet?{query}")


def add_protocol_secret(server: Server, secret: str) -> str:
    """Add a secret of the default agent. Return its fingerprint."""
    (file := server.db.with_name("secret.txt")).write_text(secret)
    added = server.cli("agent", "secret", "add", "default", "signed", "--from-file", file)
    fingerprint: str = added["fingerprint"]
    return fingerprint


def send_signed_calls(http: httpx2.Client, secret: str) -> Iterator[httpx2.Response]:
    """Send calls that are signed with the secret, and some whose caller mistakes it for the signature."""
    body = json.dumps({"player": "seeded", "currency": "USD", "id": 1, "stake": 5}).encode()
    signature = hmac.digest(secret.encode(), body, "sha256").hex()
    for headers in ({"x-sign": signature}, {"x-sign": secret}, {"x-sign": signature[1:]}, {"x-secret": secret}, {}):
        for operation in ("balance", "bet", "nothing"):
            yield http.post(f"/{CALLBACK_KEY}/signed/{operation}", content=body, headers=headers)


def send_calls_until_revocation(server: Server) -> Iterator[httpx2.Response]:
    """Send calls with two secrets, and with the second one again after its revocation."""
    _, fingerprint = (add_protocol_secret(server, secret) for secret in (PROTOCOL_SECRET, REVOKED_SECRET))
    yield from send_signed_calls(server.http, PROTOCOL_SECRET)
    accepted = [*send_signed_calls(server.http, REVOKED_SECRET)]
    server.cli("agent", "secret", "revoke", "default", "signed", fingerprint)
    refused = [*send_signed_calls(server.http, REVOKED_SECRET)]
    assert [answers[0].json()["code"] for answers in (accepted, refused)] == [0, 401]
    yield from accepted + refused


def send_page_calls(
    caller: LoginClient, key: str, agent_key: str, token: str, used_link: str
) -> Iterator[httpx2.Response]:
    """Send failing requests with secrets to the back office and the API."""
    bearer = {"authorization": f"Bearer {key}"}
    secrets_path = "/admin/api/v1/agents/default/protocol-secrets"
    for fields in (
        {"protocol": "signed", "secret": PROTOCOL_SECRET},
        {"protocol": "signed", "secret": f"{PROTOCOL_SECRET} "},
        {"protocol": "signed", "secret": [PROTOCOL_SECRET]},
        {"protocol": "vela", "secret": PROTOCOL_SECRET},
        {"protocol": PROTOCOL_SECRET, "secret": PROTOCOL_SECRET},
        {"secret": PROTOCOL_SECRET},
    ):
        yield caller.post(secrets_path, json=fields, headers=bearer)
    yield caller.post(secrets_path, content=f'{{"secret":"{PROTOCOL_SECRET}"', headers={**bearer, **JSON_CONTENT_TYPE})
    yield caller.get(secrets_path, headers=bearer)
    yield caller.get("/admin/api/v1/nothing", headers=bearer)
    yield caller.get("/admin/api/v1/players/nobody", headers=bearer)
    yield caller.get("/admin/api/v1/players", headers={"authorization": f"Bearer {key}x"})
    yield caller.post("/admin/api/v1/players", content=f'{{"token":"{token}"', headers={**bearer, **JSON_CONTENT_TYPE})
    yield caller.post("/admin/api/v1/players", json={"agent": "default", "token": token}, headers=bearer)
    for method, path in (("DELETE", agent_key), ("GET", agent_key), ("DELETE", f"{agent_key}0")):
        yield caller.request(method, f"/admin/api/v1/agents/default/callback-keys/{path}", headers=bearer)
    yield caller.post("/control", json={"token": token}, headers=bearer)
    yield caller.sign_in("ann", PASSWORD)
    yield caller.sign_in("ann", PASSWORD, f"/admin/enter?token={used_link}")
    yield caller.use_link(f"http://x/admin/enter?token={used_link}")
    yield caller.post("/admin/sign-in", content=f"password={PASSWORD}", headers=JSON_CONTENT_TYPE)
    yield caller.get(f"/admin/nothing?token={used_link}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows processes as files")
def test_no_secret_leaks(server: Server, db: Path) -> None:
    """This holds after valid and invalid calls, and when the disk fails at the end."""
    cli = server.cli
    token, key = cli.open_session(cli.add_player()), cli("key", "add", "robot", "--scope", "write")["key"]
    agent_key, revoked_agent_key = (cli("agent", "callback-key", "add", "default")["callback_key"] for _ in range(2))
    used_link, unused_link = create_login_link(server, "boss"), create_login_link(server, "boss")
    boss = LoginClient(server)
    assert boss.use_link(used_link).status_code == 303
    assert boss.set_password(PASSWORD).status_code == 303
    desk = json.loads(db.with_name("wallet.db.owner").read_text())
    secrets = Secrets(
        callback_key=CALLBACK_KEY,
        agent_key=agent_key,
        revoked_agent_key=revoked_agent_key,
        protocol_secret=PROTOCOL_SECRET,
        revoked_secret=REVOKED_SECRET,
        seeded=SEEDED_TOKEN,
        session=token,
        api_key=key,
        used_link=extract_token(used_link),
        unused_link=extract_token(unused_link),
        password=PASSWORD,
        cookie=boss.cookies["minwallet_admin"],
        control_key=desk["key"],
    )
    answers = [*send_provider_calls(server.http, CALLBACK_KEY, token)]
    answers += send_provider_calls(server.http, agent_key, SEEDED_TOKEN)
    answers += send_calls_until_revocation(server)
    cli("agent", "callback-key", "revoke", "default", revoked_agent_key)
    answers += send_provider_calls(server.http, revoked_agent_key, token)
    answers += send_page_calls(LoginClient(server), key, agent_key, token, extract_token(used_link))
    answers += [boss.get(path) for path in PAGES]
    assert {200, 400, 403, 404, 405, 413, 414} <= {answer.status_code for answer in answers}
    for answer in answers:
        where = f"the answer to {answer.request.method} {answer.request.url.path}: {answer.text[:300]}"
        secrets.assert_none_in(answer.content, where)
        secrets.assert_none_in(str(answer.headers.multi_items()), where)

    process = Path(f"/proc/{server.process.pid}")
    secrets.assert_none_in((process / "cmdline").read_bytes(), "the process list")
    secrets.assert_none_in((process / "environ").read_bytes(), "the environment", "callback_key")
    assert not list(_children(server.process.pid))
    assert "callback_key" in check_files(db, secrets)

    beyond = db.with_name("wallet.db-wal").stat().st_size
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (beyond, beyond))
    failed = server.http.post(
        f"/{CALLBACK_KEY}/wallet", json={"code": token, "type": "win", "win": 1, "id": 9, "game": 1}
    )
    assert failed.status_code == 503
    secrets.assert_none_in(failed.content, "the answer to a call that failed")
    assert server.process.wait(TIMEOUT_S) == 3
    log = server.log.read_text()
    assert "Traceback" not in log
    assert log.count('"protocol"') > 30
    secrets.assert_none_in(log, "the log")
    check_files(db, secrets)


def check_files(db: Path, secrets: Secrets) -> str:
    """Check that no file has a secret that it may not have, and return the contents of the lock file."""
    allowed = ""
    for file in db.parent.glob("wallet.db*"):
        if file.suffix == ".owner":
            allowed = "callback_key control_key"
            secrets.assert_none_in(file.read_bytes(), file.name, *allowed.split())
            assert file.stat().st_mode & 0o777 == 0o600
        elif file.suffix != ".log":
            # A signature needs the secret itself. The log of the file has a revoked one until it is overwritten.
            secrets.assert_none_in(file.read_bytes(), file.name, "protocol_secret", "revoked_secret")
    return allowed


def _children(pid: int) -> Iterator[str]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            yield stat.parent.name
