"""The root address of a server."""

from pathlib import Path

from tests.support import Server, running_server


def test_the_root_leads_a_browser_to_the_back_office(server: Server) -> None:
    """A program gets an index of what this server has."""
    answer = server.http.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/admin")
    assert server.http.get("/", headers={"accept": "Text/HTML"}).status_code == 303
    for accept in ("text/html;q=0", "application/json, text/html ; q=0.0", "text/htmlx"):
        assert server.http.get("/", headers={"accept": accept}).status_code == 200
    index = server.http.get("/").json()
    assert index["provider"]["wallet-v2"] == ["/wallet", "/wallet/{wallet_token}"]
    assert "/api/betwin" in index["provider"]["vela"]
    assert "demo" not in index
    for path in (index["api_docs"], *index["health"]):
        assert server.http.get(path).status_code == 200
    assert server.http.get(index["metrics"]).status_code == 401
    assert server.http.post("/").status_code == 405


def test_the_start_prints_the_addresses_without_the_callback_key(db: Path) -> None:
    """The index has the word KEY in its place too."""
    settings = {"MINWALLET_CALLBACK_KEY": "callback_key_0123456789", "MINWALLET_REQUIRE_WALLET_TOKEN": "true"}
    with running_server(db, **settings) as server:
        assert server.http.get("/").json()["provider"]["wallet-v2"] == ["/KEY/wallet/{wallet_token}"]
        log, url = server.log.read_text(), server.url
    addresses = {
        f"  back office  {url}/admin",
        f"  API docs     {url}/admin/api/v1/docs",
        f"  wallet-v2    {url}/KEY/wallet/{{wallet_token}}",
        f"  vela         {url}/KEY/api/…",
    }
    assert addresses <= {*log.splitlines()}
    assert "callback_key" not in log
