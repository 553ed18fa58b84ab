"""The example package, installed with pip into an environment of its own, and removed from there again."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from minwallet.testing import CommandFailed, TemporaryWallet
from tests.orbit_package import ORBIT_FOLDER, build_wheel, load_orbit, play_orbit
from tests.support import ROOT, clean_environment

pytestmark = pytest.mark.long


class FreshEnvironment(NamedTuple):
    """A Python environment with minwallet, and the wheel of the example package."""

    folder: Path
    wheel: Path

    @property
    def program(self) -> tuple[str, ...]:
        return (str(self.folder / "bin/minwallet"),)

    def run(self, *arguments: object, cwd: Path | None = None) -> str:
        """Run the environment's Python. Return its output."""
        command = [str(self.folder / "bin/python"), *map(str, arguments)]
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd,
            env=clean_environment(),
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def install_orbit(self) -> None:
        self.run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", self.wheel)

    def uninstall_orbit(self) -> None:
        self.run("-m", "pip", "uninstall", "--quiet", "--yes", "minwallet-orbit")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> FreshEnvironment:
    """Return a new environment with the wheel of this project, and with pip and pytest."""
    folder = tmp_path_factory.mktemp("fresh")
    uv = str(Path(sys.executable).with_name("uv"))
    minwallet = build_wheel(ROOT, folder / "own")
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "env"], check=True)
    libraries = subprocess.run(
        [uv, "export", "--quiet", "--frozen", "--no-dev", "--no-hashes", "--no-emit-project", "--project", ROOT],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    (folder / "libraries.txt").write_text(libraries)
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", folder / "env/bin/python"]
    subprocess.run([*install, "-r", folder / "libraries.txt", "pip", "pytest", minwallet], check=True)
    return FreshEnvironment(folder / "env", build_wheel(ORBIT_FOLDER, folder / "orbit"))


def test_the_installed_package_keeps_the_rules_of_money(environment: FreshEnvironment, tmp_path: Path) -> None:
    """The package's own tests pass against the installed minwallet and the installed package."""
    for name in ("test_orbit.py", "orbit.json", "pyproject.toml"):
        shutil.copy(ORBIT_FOLDER / name, tmp_path)
    environment.install_orbit()
    output = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)
    assert " passed" in output


def test_the_ledger_outlives_its_package(environment: FreshEnvironment) -> None:
    """Entries of a removed package can be read and verified. A new server does not serve its calls."""
    environment.install_orbit()
    with TemporaryWallet(program=environment.program) as wallet:
        play_orbit(wallet)
        players = [each["player_id"] for each in wallet.run("player", "list")["players"]]
        entries = wallet.run("ledger", players[0])["entries"]
        environment.uninstall_orbit()
        assert [each["name"] for each in wallet.run("protocols")["protocols"]] == ["vela", "wallet-v2"]
        assert wallet.run("ledger", players[0])["entries"] == entries
        wallet.verify()
        with pytest.raises(CommandFailed, match="orbit"):
            wallet.run("replay", entries[0]["seq"])
    # A new server of the environment has no route of the package, and starts.
    with TemporaryWallet(program=environment.program) as wallet:
        assert wallet.http.post(load_orbit().routes[0].path).status_code == 404


def test_the_wheel_plays_from_the_plugins_folder(environment: FreshEnvironment, tmp_path: Path) -> None:
    """The wheel need not be installed: the folder that MINWALLET_PLUGINS names is enough."""
    shutil.copy(environment.wheel, tmp_path)
    environment.uninstall_orbit()
    with TemporaryWallet({"MINWALLET_PLUGINS": str(tmp_path)}, program=environment.program) as wallet:
        play_orbit(wallet)
