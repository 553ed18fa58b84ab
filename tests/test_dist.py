"""`make dist`: the program as one file that needs only a Python.

It runs alone in a folder, with a clean environment and a Python without our libraries.
"""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import httpx2
import pytest

from minwallet import __version__
from minwallet.testing import TemporaryWallet
from tests.docs.doc_runner import can_run_pages, run_page
from tests.orbit_package import ORBIT_FOLDER, build_wheel, play_orbit
from tests.pythons import find_supported
from tests.support import ROOT, TIMEOUT_S, CommandResult, clean_environment

pytestmark = pytest.mark.long

FOLDERS = ("minwallet", "sample_data")
FILES = ("tests/pythons.py", "Makefile", "pyproject.toml", "uv.lock", "README.md", "LICENSE")

MAX_HELP_S, MAX_READY_S = 0.3, 1.0
"""How long a warm start may take; a machine that does much else besides gets twice that."""

ROUNDS = 4


class PexProgram(NamedTuple):
    """The file, and the environment in which it runs."""

    path: Path
    environment: dict[str, str]

    def run(self, *arguments: object, **settings: str) -> CommandResult:
        command = [str(self.path), *map(str, arguments)]
        env = self.environment | settings
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=env, cwd=self.path.parent, timeout=TIMEOUT_S * 4
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *arguments: object) -> Iterator[IO[str]]:
        """Yield the output while the program runs. Stop it with Ctrl-C."""
        command = [str(self.path), *map(str, arguments)]
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=self.path.parent,
        ) as process:
            assert process.stdout is not None
            try:
                yield process.stdout
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(TIMEOUT_S)


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two builds, from different folders and with different environments."""
    making = [_begin_build(tmp_path_factory.mktemp("clone"), umask) for umask in (0o022, 0o077)]
    for _, process in making:
        out, _ = process.communicate(timeout=TIMEOUT_S * 10)
        assert process.returncode == 0, out
        assert "Warning" not in out
    return [clone / "dist/minwallet" for clone, _ in making]


def _begin_build(clone: Path, umask: int) -> tuple[Path, "subprocess.Popen[str]"]:
    """Start `make dist` in a copy of the sources, with the tools of this environment."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "tests").mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, clone / name)
    (clone / ".venv").symlink_to(sys.prefix)
    command = ["make", "--assume-old=.venv/ready", "dist"]
    return clone, subprocess.Popen(
        command,
        cwd=clone,
        umask=umask,
        env=clean_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@pytest.fixture(scope="module")
def program(builds: list[Path], tmp_path_factory: pytest.TempPathFactory) -> PexProgram:
    """Return the file alone in a folder, unpacked by a first run."""
    folder, home, programs = map(tmp_path_factory.mktemp, ("alone", "home", "programs"))
    # The base of this environment, so none of its libraries.
    python = Path(sys.executable).resolve()
    (programs / f"python3.{sys.version_info.minor}").symlink_to(python)
    shutil.copy(builds[0], folder)
    found = PexProgram(folder / "minwallet", {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), "NO_COLOR": "1"})
    assert found.run("--version") == (0, f"minwallet {__version__}\n", "")
    return found


@pytest.fixture
def served(program: PexProgram) -> Iterator[httpx2.Client]:
    """Yield a client of its server on a new file."""
    with program.running("--db", "served.db", "serve", "--port", 0) as said, _open_client(_read_address(said)) as http:
        yield http


def _read_address(said: IO[str]) -> str:
    return next(found[1] for line in said if (found := re.search(r" at (http://\S+)", line)))


def _open_client(url: str) -> httpx2.Client:
    return httpx2.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False, follow_redirects=True)


def assert_page_complete(http: httpx2.Client, path: str, words: str) -> None:
    """Check that the page and all files that it refers to exist."""
    page = http.get(path)
    assert page.status_code == 200
    assert words in page.text
    parts = re.findall(r'(?:src|href)="([^"]+\.(?:css|js|svg)\b[^"]*)"', page.text)
    assert len(parts) >= 3
    assert {http.get(part).status_code for part in parts} == {200}


def test_the_same_sources_make_the_same_bytes(builds: list[Path]) -> None:
    """The build does not depend on the folder or the user, so anyone can check the origin of a file."""
    first, second = (build.read_bytes() for build in builds)
    assert first == second


def test_it_has_the_libraries_for_each_python(program: PexProgram) -> None:
    """PEX_PYTHON selects the Python."""
    for version, python in find_supported().items():
        if version == sys.version_info[:2]:
            continue  # it is the one of all other tests
        assert program.run("--version", PEX_PYTHON=python).out == f"minwallet {__version__}\n"


def test_the_server_has_all_that_its_pages_need(served: httpx2.Client) -> None:
    """The file contains templates and static files."""
    assert served.get("/readyz").status_code == 200
    assert_page_complete(served, "/admin", "Sign in")


def test_the_demo_runs(program: PexProgram) -> None:
    """The wallet, the provider and the page work."""
    demo = ("demo", "--no-browser", "--port", 0, "--provider-port", 0, "--rounds", 1)
    with program.running(*demo) as said:
        page = next(found for line in said if (found := re.search(r"page +(http://[^/]+)(\S+)", line)))
        with _open_client(page[1]) as http:
            assert_page_complete(http, page[2], "demo.js")


def test_a_sample_is_seeded_and_verified(program: PexProgram) -> None:
    """The contained example files equal those of the sources."""
    players = program.run("sample", "players.csv").out
    assert players == (ROOT / "sample_data/players.csv").read_text()
    (program.path.parent / "players.csv").write_text(players)
    assert program.run("seed", "players.csv").code == 0
    assert program.run("verify").out.startswith("ok: ")


def test_it_measures_with_a_server_of_its_own(program: PexProgram) -> None:
    """`bench` starts the program again from the file."""
    result = program.run("bench", "--seconds", 1, "--players", 10, "--json")
    assert result.json["bets"] > 0


def test_the_built_in_protocols_are_found_by_their_entry_points(program: PexProgram) -> None:
    """The metadata of minwallet's own package is inside."""
    found = program.run("protocols", "--json").json["protocols"]
    assert [(each["name"], each["distribution"]) for each in found] == [
        ("vela", "minwallet"),
        ("wallet-v2", "minwallet"),
    ]


@pytest.fixture
def plugins(program: PexProgram) -> Iterator[Path]:
    """Yield the empty folder `minwallet.d` beside the file, and remove it after the test."""
    folder = program.path.with_name("minwallet.d")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def test_a_wheel_in_the_folder_beside_it_plays(program: PexProgram, plugins: Path) -> None:
    """The example package takes signed calls: bets, retries, bad signatures, a wrong player, a rollback."""
    wheel = build_wheel(ORBIT_FOLDER, plugins)
    found = {each["name"]: each["place"] for each in program.run("protocols", "--json").json["protocols"]}
    assert found["orbit"] == str(wheel)
    with TemporaryWallet(program.environment, program=[str(program.path)]) as wallet:
        play_orbit(wallet)


def test_a_new_package_in_the_folder_plays(program: PexProgram, plugins: Path) -> None:
    """`protocol new` writes it there. A broken wheel beside it stops nothing."""
    (plugins / "broken.whl").write_text("text")
    assert program.run("protocol", "new", "pico", "--path", plugins / "pico").code == 0
    found = {each["name"] for each in program.run("protocols", "--json").json["protocols"]}
    assert found == {None, "pico", "vela", "wallet-v2"}
    assert program.run("--db", "new.db", "player", "add", "alice", "--currency", "USD", "--balance", 100).code == 0
    token = program.run("--db", "new.db", "session", "open", "alice").out.strip()
    with program.running("--db", "new.db", "serve", "--port", 0) as said, _open_client(_read_address(said)) as http:
        bet = {"op": "bet", "token": token, "id": 1, "amount": 500}
        assert http.post("/pico", json=bet).json() == {"ok": True, "balance": 9500}
    assert program.run("--db", "new.db", "verify").code == 0


def test_without_a_python_the_error_names_the_supported_ones(program: PexProgram, tmp_path: Path) -> None:
    """The error has the names and the folders that were searched."""
    result = program.run("--version", PATH=str(tmp_path), PEX_ROOT=str(tmp_path / "empty"))
    assert result.code == 1
    assert "Failed to find any of these python binaries on the PATH" in result.err


def test_it_starts_quickly(program: PexProgram) -> None:
    """The fastest of several starts counts, because other work on the machine only slows a start down."""
    helps, starts = [], []
    for _ in range(ROUNDS):
        began = time.monotonic()
        assert program.run("--help").code == 0
        helps.append(time.monotonic() - began)
        began = time.monotonic()
        with (
            program.running("--db", "served.db", "serve", "--port", 0) as said,
            _open_client(_read_address(said)) as http,
        ):
            assert http.get("/readyz").status_code == 200
            starts.append(time.monotonic() - began)
    assert min(helps) < MAX_HELP_S * 2
    assert min(starts) < MAX_READY_S * 2


@pytest.mark.skipif(not can_run_pages, reason="the pages are typed in bash, with curl")
def test_the_tutorial_works_with_it(program: PexProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial runs from its first line to its last."""
    monkeypatch.setenv("PEX_ROOT", f"{program.environment['HOME']}/.cache/pex")
    assert run_page(ROOT / "docs/tutorial.md", tmp_path, program.path) > 5
