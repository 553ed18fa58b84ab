"""Access: API keys, admins, and the audit log."""

import html
import re

import httpx2

from minwallet.storage.admin_store import AuditEvent, AuditRecord
from minwallet.web.backoffice.audit_rows import describe_audit_record
from tests.support import TIMEOUT_S, Server
from tests.web.backoffice.admin_client import AdminClient, read_field, read_flash, read_table_rows
from tests.web.login_client import LoginClient, create_login_link, extract_csrf, sign_in_by_link


def read_copyable(page: str) -> str:
    """Return the first copyable text of the page."""
    found = re.search(r'data-copy="([^"]*)"', page)
    assert found is not None
    return html.unescape(found[1])


def test_a_key_is_shown_once(admin_client: AdminClient) -> None:
    """It is on the page that created it. The list has only its start, and keeps it after its revocation."""
    made = admin_client.submit("/admin/access/keys", name="shop", scope="write", agent="default")
    key = read_copyable(made.text)
    assert re.fullmatch(r"mw_[0-9a-f]{40}", key)
    page = admin_client.get_page("/admin/access")
    assert key not in page
    (row,) = (row for row in read_table_rows(page) if row[0] == "shop")
    assert row[1:4] == [f"{key[:7]}…", "write", "default"]
    with httpx2.Client(
        base_url=admin_client.http.base_url, headers={"authorization": f"Bearer {key}"}, trust_env=False
    ) as shop:
        assert shop.get("/admin/api/v1/health").status_code == 200
        assert admin_client.flash_after("/admin/access/keys/shop/revoke") == "API key shop revoked."
        assert shop.get("/admin/api/v1/health").status_code == 401
    (row,) = (row for row in read_table_rows(admin_client.get_page("/admin/access")) if row[0] == "shop")
    assert row[-1] == "revoked"
    assert admin_client.submit("/admin/access/keys/nothing/revoke").status_code == 404


def test_invalid_key_fields_are_reported_and_kept(admin_client: AdminClient) -> None:
    """Errors are beside the field or above the form, and the entered values stay."""
    wrong = admin_client.submit("/admin/access/keys", name="two words", scope="all", agent="")
    assert wrong.status_code == 422
    assert "It must be 1 to 40 of A-Z a-z 0-9 _ . -, but not only dots." in wrong.text
    assert "It must be read or write." in wrong.text
    assert read_field(wrong.text.partition('id="keys"')[2], "name") == "two words"
    admin_client.submit("/admin/access/keys", name="twice", scope="read", agent="")
    again = admin_client.submit("/admin/access/keys", name="twice", scope="read", agent="")
    assert "key name 'twice' is already used" in read_flash(again.text)
    unknown = admin_client.submit("/admin/access/keys", name="lost", scope="read", agent="nobody")
    assert "unknown agent 'nobody'" in read_flash(unknown.text)


def test_an_admin_creates_and_resets_another_admin(server: Server, admin_client: AdminClient) -> None:
    """A link signs a new admin in once; a reset ends all sessions of an admin."""
    url = read_copyable(admin_client.submit("/admin/access/admins", name="nina").text)
    assert url.startswith(f"{server.url}/admin/enter?token=")
    headers = {"origin": server.url}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=TIMEOUT_S, trust_env=False) as nina:
        token = url.partition("=")[2]
        assert nina.post("/admin/enter", data={"token": token}).headers["location"] == "/admin"
        assert nina.get("/admin/access").status_code == 200
        assert "nina is signed out" in admin_client.flash_after("/admin/access/admins/nina/reset")
        assert nina.get("/admin/access").status_code == 303
    assert admin_client.submit("/admin/access/admins", name="two words").status_code == 422
    assert admin_client.submit("/admin/access/admins/nobody/reset").status_code == 404


def test_an_admin_makes_no_link_for_another_admin(server: Server, admin_client: AdminClient) -> None:
    """Its maker could act under that name. For oneself and for a new name a link is made, and at the command line."""
    other = sign_in_by_link(server, "otto")
    refused = admin_client.submit("/admin/access/admins", name="otto")
    assert refused.status_code == 422
    assert read_flash(refused.text) == "admin 'otto' exists; only the command line makes links for other admins"
    assert "token=" not in refused.text
    assert admin_client.submit("/admin/access/admins", name="Otto").status_code == 422
    own = read_copyable(admin_client.submit("/admin/access/admins", name="admin").text)
    assert LoginClient(server).use_link(own).status_code == 303
    other.post("/admin/sign-out", data={"csrf": extract_csrf(other.get("/admin/access").text)})
    assert admin_client.submit("/admin/access/admins", name="otto").status_code == 422
    assert LoginClient(server).use_link(create_login_link(server, "otto")).status_code == 303


def test_a_reset_ends_what_the_admin_made(server: Server, admin_client: AdminClient) -> None:
    """Keys, links and sessions of players end with their maker, who was invited in the back office or not."""
    player = server.cli.add_player()
    mia = sign_in_by_link(server, "mia")
    key = read_copyable(mia.submit("/admin/access/keys", name="mias", scope="write", agent="").text)
    headers = {"authorization": f"Bearer {key}"}
    link = read_copyable(mia.submit("/admin/access/admins", name="max").text)
    path = "/admin/api/v1/agents/default/callback-keys"
    callback_keys = [read_copyable(mia.submit("/admin/agents/default/callback-keys").text)]
    callback_keys.append(server.http.post(path, headers=headers, json={}).json()["callback_key"])
    for callback_key in callback_keys:
        assert server.wallet_v2(f"/{callback_key}/wallet", type="credit", code="nobody")["err_code"] == 102
    page = mia.submit(f"/admin/players/default/{player}/sessions", ttl_s="3600", currency="USD").text
    token = read_copyable(page)
    assert server.wallet_v2(code=token, type="credit")["result"] == 1
    (row,) = (row for row in read_table_rows(admin_client.get_page("/admin/access")) if row[0] == "mias")
    assert row[5] == "admin mia"
    message = admin_client.flash_after("/admin/access/admins/mia/reset")
    assert message.startswith("mia is signed out")
    for text in ("Links ended, for: max.", "API keys revoked: mias.", "Sessions of players revoked: 1."):
        assert text in message
    hints = sorted(f"{callback_key[:12]}… of agent default" for callback_key in callback_keys)
    assert f"Callback keys revoked: {', '.join(hints)}." in message
    for callback_key in callback_keys:
        assert server.http.post(f"/{callback_key}/wallet", json={}).status_code == 404
    assert "Admins that mia invited can still sign in: max." in message
    assert server.http.get("/admin/api/v1/health", headers=headers).status_code == 401
    assert LoginClient(server).use_link(link).status_code == 403
    assert server.wallet_v2(code=token, type="credit")["err_code"] == 102
    assert not mia.is_signed_in
    (row,) = (row for row in read_table_rows(admin_client.get_page("/admin/access")) if row[1:2] == ["admin admin"])
    assert "keys mias" in row[-1]


def test_the_two_new_passwords_must_agree(admin_client: AdminClient) -> None:
    """A typing error locks no admin out, and no page contains a password."""
    answer = admin_client.submit(
        "/admin/access/password", old="", new="a good long password", again="a god long password"
    )
    assert answer.status_code == 422
    assert "The two passwords differ." in answer.text
    assert "good long" not in answer.text


def test_the_audit_log_is_paginated(server: Server, admin_client: AdminClient) -> None:
    """Events are newest first, each once, with links to their subjects."""
    names = [server.cli.add_player(balance="1") for _ in range(60)]
    server.cli("deposit", names[-1], "12.50", "--reference", "r1")
    first = admin_client.get_page("/admin/access/audit-log")
    rows = read_table_rows(first)
    assert len(rows) == 50
    assert rows[0][2] == f"deposited for {names[-1]}"
    assert "amount 12.50" in rows[0][4]
    assert f'href="/admin/players/default/{names[-1]}"' in first
    assert re.search(r'entry <a href="/admin/transactions/\d+">', first)
    older = re.search(r'rel="next" href="([^"]*)"', first)
    assert older is not None
    second = admin_client.get_page(html.unescape(older[1]))
    added = [row[2] for row in [*rows, *read_table_rows(second)] if row[2].startswith("added player")]
    assert added[: len(names)] == [f"added player {name}" for name in reversed(names)]
    assert "No older rows" in admin_client.get_page("/admin/access/audit-log?before=1")
    assert len(read_table_rows(admin_client.get_page("/admin/access/audit-log?before=nonsense"))) == 50


def test_an_audit_row_is_described_in_words() -> None:
    """Amounts are decimals, durations are in words, and empty fields are omitted."""

    def describe(action: str, detail: str, **more: str) -> tuple[str, str, str]:
        row = describe_audit_record(
            AuditRecord(1, AuditEvent(0, "admin a", action, more.get("agent"), more.get("subject"), detail))
        )
        return row.action_text, row.subject, row.details

    assert describe("deposit", '{"amount":1250,"bonus":true,"reason":""}', agent="x", subject="al") == (
        "deposited for",
        "al",
        "amount 12.50, bonus yes",
    )
    assert describe("session_open", '{"ttl_s":86400}', subject="al") == ("opened a session for", "al", "ttl 1 day")
    assert describe("sign_in", '{"by":"link"}', subject="a") == ("signed in", "", "by link")
    assert describe("something_new", "{}") == ("something new", "", "")
