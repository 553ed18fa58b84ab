"""The tests of minwallet.testing, `trigger` and the kit with nova: nested actions, groups of two kinds, derived ids."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import cast

import pytest

from minwallet.conformance import load_suite
from minwallet.conformance.client import Client
from minwallet.ledger.commands import Bet, Group, Rollback, Win
from minwallet.ledger.decide import decide
from minwallet.operations.errors import OperationError
from minwallet.protocols.registry import load_protocol
from minwallet.protocols.wire import WireRoute
from minwallet.provider.game_catalogue import GameCatalogue
from minwallet.provider.trigger import InvalidCall, TriggerOptions, build_call
from minwallet.storage.models import Agent
from minwallet.testing import Caller, TemporaryWallet, WalletPlayer
from minwallet.testing.golden_pairs import WirePair
from minwallet.testing.money_cases import plan_bet, plan_case, plan_reversal
from minwallet.web.backoffice.integration import build_integrations
from tests.ledger.builders import NOW_MS, snapshot, written_entry
from tests.protocol_package import installed, write_protocol_package
from tests.support import ROOT, clean_environment

NOVA = ROOT / "sample_data/nova"

CATALOGUE = GameCatalogue(Agent(1, "default", "default", None), None, ())

SECRET = "secret-of-nova-0123456789"


@pytest.fixture(autouse=True)
def nova(tmp_path: Path) -> Iterator[None]:
    """Install the package of nova."""
    folder = write_protocol_package(tmp_path, NOVA / "minwallet_nova.py", name="nova", object_name="Nova")
    (folder / "minwallet_nova_parts.py").write_text((NOVA / "minwallet_nova_parts.py").read_text())
    with installed(folder):
        yield


@pytest.fixture
def caller() -> Caller:
    """Return a caller that only builds requests."""
    player = WalletPlayer("default", "alice", "USD", "token-of-alice")
    return Caller(cast(TemporaryWallet, None), load_protocol("nova"), player, SECRET)


def test_each_group_operation_gets_the_group_that_it_takes(caller: Caller) -> None:
    """Of two operations of groups, one gets two rollbacks with two ids, the other a bet and a win."""
    rollbacks, play = (plan_case(caller, name).call.command for name in ("rollbacks", "play"))
    assert isinstance(rollbacks, Group)
    assert isinstance(play, Group)
    assert [type(each) for each in rollbacks.commands] == [Rollback, Rollback]
    assert len({each.id for each in rollbacks.commands}) == 2
    assert [type(each) for each in play.commands] == [Bet, Win]


def test_an_operation_that_takes_no_group_has_all_reasons(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no group fits, the error has the reason of each."""

    def refuse(*_: object) -> None:
        raise ValueError("nova is closed today")

    bet = plan_bet(caller)
    monkeypatch.setattr("minwallet.testing.money_cases.plan_bet", lambda _: bet)
    monkeypatch.setattr(type(caller.protocol), "build_request", refuse)
    with pytest.raises(ValueError, match="two rollbacks: nova is closed today\n- a bet and a win: nova is"):
        plan_case(caller, "play")


def test_a_group_that_reverses_no_bet_says_why(caller: Caller) -> None:
    """A list of rollbacks reverses a bet with an unknown one, and a group of bets and wins reverses none."""
    bet = plan_bet(caller)
    assert isinstance(plan_reversal(caller, "rollbacks", bet).command, Group)
    with pytest.raises(ValueError, match="parsed as the operation 'rollbacks'"):
        plan_reversal(caller, "play", bet)


def test_a_derived_id_has_no_other_content(caller: Caller) -> None:
    """The id of an end is made of its round, so the same id with another round cannot be sent."""
    assert plan_case(caller, "end").other is None
    assert plan_case(caller, "rollback").other is not None


def test_a_golden_pair_compares_nested_fields() -> None:
    """The first different field is named with its path, and a field inside of a list can be ignored."""
    action = {"type": "bet", "id": "b", "amount": 5, "round": "r", "game": "g", "extra": 1}
    request = {"session": "s", "player": "p", "currency": "USD", "actions": [action]}
    fields = {"request": {"method": "POST", "path": "/nova", "json": request}, "reply": {"json": {"balance": 5}}}
    pair = WirePair("bet", "p", "USD", fields)
    with pytest.raises(AssertionError, match=r"actions\[0\]\.extra: expected 1, got null"):
        pair.check_both_ways(load_protocol("nova"))
    pair._replace(fields=fields | {"ignored": ["extra"]}).check_both_ways(load_protocol("nova"))


def test_a_trigger_leaves_derived_ids_to_the_protocol() -> None:
    """Without --id the protocol may derive the id. With an id that it does not use, the error says what to do."""
    options = TriggerOptions("end", round="r7")
    assert build_call("nova", options, None, "alice", "USD").operation == "end"
    with pytest.raises(InvalidCall, match="reads it as 'end:r7'; use that, or omit --id"):
        build_call("nova", options._replace(id="x7"), None, "alice", "USD")


def test_a_trigger_makes_no_call_of_another_operation() -> None:
    """A single rollback is not a list for nova, and the call does not become a bet and a win instead."""
    bet = written_entry(decide(snapshot(), Bet("b7", 250, "r7", "fish"), NOW_MS))
    with pytest.raises(OperationError, match=r"cannot build the call 'rollbacks'.*reads the request as 'rollback'"):
        build_call("nova", TriggerOptions("rollbacks"), bet, "alice", "USD")
    call = build_call("nova", TriggerOptions("rollbacks", references=("a", "b")), bet, "alice", "USD")
    assert isinstance(call.command, Group)


def test_the_kit_knows_if_requests_need_an_account() -> None:
    """The requests of nova name the player, so the kit needs --account. Those of wallet-v2 do not."""
    accounts = {"token": ("alice", "USD")}
    for name, known, lacks in (("nova", {}, True), ("nova", accounts, False), ("wallet-v2", {}, False)):
        with Client(load_suite(name), "http://127.0.0.1:1", {"token": "t-of-alice"}, 1, accounts=known) as client:
            assert client.lacks_account("token") is lacks


def test_the_agent_page_offers_the_kit_for_a_signed_protocol() -> None:
    """The command of the kit has the account and the file of the secret."""
    found = {each.protocol: each for each in build_integrations(CATALOGUE, "http://w", 0, require_wallet_token=False)}
    assert found["nova"].conformance_command.endswith("--account token=PLAYER/USD --secret-file SECRET_FILE")
    assert "--account" not in found["vela"].conformance_command
    assert [each.label for each in found["nova"].endpoints] == ["Wallet URL"]


def test_several_addresses_without_an_operation_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses of a protocol without wallet tokens are named by their paths, and not as those of all agents."""
    routes = (WireRoute("POST", "/nova/play"), WireRoute("POST", "/nova/rollback"))
    monkeypatch.setattr(type(load_protocol("nova")), "routes", routes)
    found = {each.protocol: each for each in build_integrations(CATALOGUE, "http://w", 0, require_wallet_token=False)}
    assert [each.label for each in found["nova"].endpoints] == ["Wallet URL /nova/play", "Wallet URL /nova/rollback"]


def test_the_reason_of_an_unusable_protocol_is_shown_once(tmp_path: Path) -> None:
    """Tests of a protocol that minwallet does not load end with one error, which has the reason."""
    folder = Path(copytree(NOVA, tmp_path / "broken"))
    module = folder / "minwallet_nova.py"
    module.write_text(module.read_text().replace("max_body_bytes = 64 * 1024", "max_body_bytes = 0"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    env = clean_environment(MINWALLET_PLUGINS=str(folder))
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder, env=env)
    assert "protocol 'nova' is not used: max_body_bytes: must be a whole number" in done.stdout
    assert "1 error" in done.stdout


@pytest.mark.long
def test_the_kit_cancels_bets_of_nested_bodies(tmp_path: Path) -> None:
    """No bet of nova's cases is left open."""
    (file := tmp_path / "secret").write_text(SECRET)
    with TemporaryWallet({"MINWALLET_PLUGINS": str(NOVA)}) as wallet:
        wallet.add_secret("default", "nova", SECRET)
        player = wallet.add_player()
        account = f"token={player.player_id}/USD"
        options = ("--protocol", "nova", "--token", player.token, "--account", account, "--secret-file", file)
        done = wallet.run("conformance", wallet.url, *options)
        assert done["ok"]
        assert done["left"]["open"] == []
        assert wallet.read_total(player) == 100_00
