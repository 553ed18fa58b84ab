"""MINWALLET_PROTOCOLS: the server answers the calls of some protocols only."""

from pathlib import Path

import pytest

from tests.orbit_package import ORBIT_FOLDER
from tests.support import Cli, run_minwallet, running_server


def read_findings(cli: Cli, **settings: str) -> list[tuple[str, str]]:
    """Return the level and the words of what `doctor` finds about protocols and protection."""
    settings["MINWALLET_PLUGINS"] = str(ORBIT_FOLDER)
    found = run_minwallet("--db", cli.db, "doctor", "--json", cwd=None, **settings).json["findings"]
    return [(each["level"], each["words"]) for each in found if each["subject"] in ("protocols", "protection")]


def test_a_protocol_that_is_not_named_gets_404(db: Path) -> None:
    """A session that orbit's game got in its address moves no money through a protocol without signatures."""
    with running_server(db, MINWALLET_PLUGINS=str(ORBIT_FOLDER), MINWALLET_PROTOCOLS=" orbit , ") as server:
        key = server.cli.run("agent", "callback-key", "add", "default", "--json").json["callback_key"]
        token = server.cli.open_session(server.cli.add_player())
        win = {"type": "win", "win": 1000, "id": 1, "game": 1, "code": token}
        assert server.http.post("/wallet", json=win).status_code == 404
        assert server.http.post(f"/{key}/wallet", json=win).status_code == 404
        assert server.http.get(f"/api/user/authenticate?access_token={token}").status_code == 404
        # orbit answers: the call has no signature.
        assert server.http.post("/orbit").json()["error"] == "BAD_SIGNATURE"
        assert server.http.post(f"/{key}/orbit").json()["error"] == "BAD_SIGNATURE"
        assert server.http.get("/", headers={"accept": "application/json"}).json()["provider"] == {"orbit": ["/orbit"]}
        log = server.read_log()
    assert "orbit " in log
    assert "wallet-v2" not in log


def test_entries_of_the_others_stay_readable(cli: Cli) -> None:
    """The setting is about the calls that the server answers. Every command still knows all installed protocols."""
    with running_server(cli.db) as server:
        player = server.cli.add_player()
        token = server.cli.open_session(player)
        bet = {"type": "bet", "bet": 100, "id": 1, "game": 1, "code": token}
        assert server.http.post("/wallet", json=bet).json()["result"] == 1
    for command in (["ledger", player, "--json"], ["verify"], ["protocols"], ["show", "2"]):
        assert run_minwallet("--db", cli.db, *command, MINWALLET_PROTOCOLS="vela").code == 0


def test_an_unknown_name_is_a_line_and_stops_nothing(cli: Cli) -> None:
    """The server answers the others that are named. `doctor` fails."""
    with running_server(cli.db, MINWALLET_PROTOCOLS="vela,walet-v2") as server:
        assert "\nminwallet: MINWALLET_PROTOCOLS names 'walet-v2', which is not an installed protocol\n" in (
            server.read_log()
        )
        assert server.http.get("/api/user/authenticate").status_code == 200
    assert ("fail", "MINWALLET_PROTOCOLS names 'walet-v2', which is not an installed protocol") in read_findings(
        cli, MINWALLET_PROTOCOLS="vela,walet-v2"
    )


@pytest.mark.parametrize(
    "settings",
    [{"MINWALLET_PROTOCOLS": "orbit"}, {"MINWALLET_CALLBACK_KEY": "k" * 40}, {"MINWALLET_PROTOCOLS": "vela,wallet-v2"}],
)
def test_doctor_warns_of_unsigned_calls_beside_signed_ones(cli: Cli, settings: dict[str, str]) -> None:
    """The setting and a callback key are both an answer to it, as is a wallet without a signed protocol."""
    warning = "a session that was opened for a game of orbit is valid for them too; set MINWALLET_PROTOCOLS=orbit if"
    assert [level for level, words in read_findings(cli) if warning in words] == ["warn"]
    assert not any("need no signature" in words for _, words in read_findings(cli, **settings))
