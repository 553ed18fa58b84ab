"""The example package: its wheel, its protocol in this process, and a play that shows what it must keep."""

import os
import subprocess
import sys
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from minwallet.ledger.commands import Bet, Group, Rollback, Win
from minwallet.protocols.wire import WireProtocol
from minwallet.testing import Caller, TemporaryWallet, new_id
from tests.protocol_package import write_protocol_package
from tests.support import ROOT, Cli, clean_environment, run_minwallet

ORBIT_FOLDER = ROOT / "sample_data/orbit"

SIGNATURE_LINE = "    signature = OrbitSignature()\n"

PARTS = {"conformance": "tests.conformance.orbit_suite:ORBIT_SUITE", "dealer": "tests.demo.orbit_dealer:OrbitDealer"}

SECRET = "a-secret-of-the-example-0123456789"


@cache
def load_orbit() -> WireProtocol:
    """Return the protocol of the example package, which this process has not installed."""
    spec = spec_from_file_location("example_orbit", ORBIT_FOLDER / "minwallet_orbit.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    protocol: WireProtocol = module.Orbit()
    return protocol


def write_orbit_package(folder: Path, *parts: str) -> Path:
    """Write the package into the folder, with these parts of PARTS, and return the folder."""
    source = (ORBIT_FOLDER / "minwallet_orbit.py").read_text()
    assert SIGNATURE_LINE in source
    lines = "".join(f'    {part} = "{PARTS[part]}"\n' for part in parts)
    source = source.replace(SIGNATURE_LINE, SIGNATURE_LINE + lines)
    return write_protocol_package(folder, source, name="orbit", object_name="Orbit")


def join_pythonpath(folder: Path) -> str:
    """Return the PYTHONPATH of a process that uses the package in this folder, whose parts are in the tests.

    It finds the package there before an installed one. A plugins folder would be searched after it.
    """
    return os.pathsep.join([str(folder), str(ROOT)])


def add_orbit_secret(cli: Cli) -> None:
    """Add SECRET to the default agent of the wallet file."""
    (file := cli.db.with_suffix(".secret")).write_text(SECRET)
    command = ("agent", "secret", "add", "default", "orbit", "--from-file", file)
    result = run_minwallet("--db", cli.db, *command, MINWALLET_PLUGINS=str(ORBIT_FOLDER))
    assert result.code == 0, result


def build_wheel(project: Path, folder: Path) -> Path:
    """Build the wheel of a project in this environment, without downloads. Return its path."""
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--python", sys.executable]
    subprocess.run([*command, "--out-dir", folder, project], check=True, env=clean_environment())
    (wheel,) = folder.glob("*.whl")
    return wheel


def play_orbit(wallet: TemporaryWallet) -> None:
    """Play bets, retries, bad signatures, a wrong player and a rollback of several transactions, and verify."""
    protocol = load_orbit()
    wallet.add_secret("default", "orbit", SECRET)
    alice, bob = (wallet.add_player(cash=100_00, currency=currency) for currency in ("USD", "EUR"))
    caller = Caller(wallet, protocol, alice, SECRET)
    round_ = new_id()
    bets = [caller.plan("bet", Bet(f"bet-{new_id()}", stake, round_, "1012")) for stake in (5_00, 7_50)]
    assert [caller.call(bet).total for bet in (*bets, bets[0])] == [95_00, 87_50, 87_50]
    win = caller.plan("win", Win(f"win-{new_id()}", 20_00, round_, "1012"))
    assert [caller.call(win._replace(token="")).total for _ in range(2)] == [107_50, 107_50]
    request = protocol.build_request(caller.plan("bet", Bet(f"bet-{new_id()}", 1_00, round_)), 0)
    for refused in (
        request,
        caller.sign(request, secret="forged-forged-forged"),
        caller.sign(request, shift_ms=-60_000),
    ):
        assert caller.exchange(refused).read.code == "BAD_SIGNATURE"
    for wrong in (bets[1]._replace(player_id=bob.player_id), bets[1]._replace(currency="EUR")):
        assert caller.call(wrong).read.code == "BAD_PLAYER"
    ids = [each.command.id for each in (win, *bets) if isinstance(each.command, Win | Bet)]
    rollback = caller.plan("rollback", Group(tuple(Rollback(f"back-{round_}", reference) for reference in ids)))
    assert [caller.call(rollback).total for _ in range(2)] == [100_00, 100_00]
    assert caller.call(bets[0]).read.code == "REFUSED"
    assert (wallet.read_total(alice), wallet.read_total(bob)) == (100_00, 100_00)
    assert [entry["kind"] for entry in wallet.read_entries(alice)][1:] == ["bet", "bet", "win", *["rollback"] * 3]
    wallet.verify()
