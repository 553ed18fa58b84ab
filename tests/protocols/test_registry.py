"""The registry of protocols: minwallet's own, those of other packages, and packages that cannot be used."""

import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from minwallet.protocols import packages, registry
from minwallet.protocols.packages import InvalidPackage
from minwallet.protocols.registry import find_protocol_problems, is_installed, list_protocols, load_protocol
from minwallet.protocols.wire import WireRoute, list_routes
from tests.protocol_package import OWN_PROTOCOLS
from tests.protocols.plugins import MINIMAL, add_package, add_project, add_wheel, forget_packages, plugins_folder

INSTALLED = list_protocols()
"""The protocols without those of a test: minwallet's own, and those of other packages in this environment."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Yield an empty plugins folder that the registry looks into."""
    with plugins_folder(tmp_path / "plugins") as folder:
        yield folder


def read_problem() -> str:
    """Return the only problem."""
    (problem,) = find_protocol_problems()
    assert "\n" not in str(problem)
    return str(problem)


@pytest.mark.parametrize("name", OWN_PROTOCOLS)
def test_a_protocol_is_found_by_its_own_name(name: str) -> None:
    """The name of the entry point is the name in the ledger's entries."""
    protocol = load_protocol(name)
    assert protocol.name == name
    assert is_installed(name)
    assert name in list_protocols()


@pytest.mark.parametrize("name", OWN_PROTOCOLS)
def test_a_protocol_declares_its_operations(name: str) -> None:
    """The operations of the paths are among them. Other words never become a label of a metric."""
    protocol = load_protocol(name)
    assert {route.operation for route in protocol.routes} - {""} <= set(protocol.operations)
    assert all(re.fullmatch("[a-z]+", operation) for operation in protocol.operations)


def test_an_unknown_protocol_is_a_key_error() -> None:
    """`load_protocol` raises KeyError for a name that no package has."""
    assert not is_installed("wallet-v1")
    with pytest.raises(KeyError):
        load_protocol("wallet-v1")


def test_the_paths_are_those_of_the_specifications() -> None:
    """wallet-v2 has one path, with or without the wallet token; vela's authenticate has two spellings."""
    assert load_protocol("wallet-v2").routes == (
        WireRoute("POST", "/wallet"),
        WireRoute("POST", "/wallet/{wallet_token}"),
    )
    assert {(route.method, route.path, route.operation) for route in load_protocol("vela").routes} == {
        ("GET", "/api/user/authenticate", "authenticate"),
        ("GET", "/api/users/authenticate", "authenticate"),
        ("GET", "/api/bet", "bet"),
        ("GET", "/api/result", "result"),
        ("GET", "/api/refund", "refund"),
        ("GET", "/api/betwin", "betwin"),
    }


def test_ids_are_those_of_the_specifications() -> None:
    """wallet-v2: ids "unique within one currency"; vela: one space of tickets."""
    assert load_protocol("wallet-v2").ids_per_currency
    assert not load_protocol("vela").ids_per_currency


def test_a_required_wallet_token_omits_the_path_without_one() -> None:
    """vela has no wallet token, so its paths stay."""
    wallet_v2, vela = load_protocol("wallet-v2"), load_protocol("vela")
    assert [route.path for route in list_routes(wallet_v2, require_wallet_token=True)] == ["/wallet/{wallet_token}"]
    assert list_routes(wallet_v2, require_wallet_token=False) == wallet_v2.routes
    assert list_routes(vela, require_wallet_token=True) == vela.routes


def test_an_optional_part_is_loaded_by_its_import_path() -> None:
    """A part that the protocol does not have is a KeyError."""
    assert registry.has_part("vela", "operator_service")
    assert registry.load_operator_service("vela").first_key == "0"
    assert type(registry.create_part("vela", "dealer")) is registry.load_part("vela", "dealer")
    assert not registry.has_part("wallet-v2", "operator_service")
    with pytest.raises(KeyError):
        registry.load_operator_service("wallet-v2")


def test_own_protocols_need_no_search(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that uses one of them reads the metadata of minwallet's package only."""
    monkeypatch.setattr(registry, "find_installed_packages", lambda: pytest.fail("searched"))
    assert is_installed("vela")
    assert load_protocol("vela").name == "vela"
    assert not registry.has_part("wallet-v2", "operator_service")


def test_a_package_of_each_kind_is_found(folder: Path) -> None:
    """The plugins folder may have installed packages, wheels and projects; all of them can be loaded."""
    add_package(folder, "target")
    add_wheel(folder, "wheel")
    add_project(folder, "pro-ject")
    assert registry.find_plugins_folder() == folder
    assert list_protocols() == tuple(sorted(["pro-ject", "target", "wheel", *INSTALLED]))
    assert find_protocol_problems() == []
    places = {each.package.protocol: each.package.place for each in registry.list_installed()}
    assert places["target"] == str(folder)
    assert places["wheel"] == str(folder / "minwallet_wheel-1.0-py3-none-any.whl")
    assert places["pro-ject"] == str(folder / "minwallet-pro-ject")


def test_the_plugins_folder_may_be_a_project(tmp_path: Path) -> None:
    """So an author tries a package without installing it. Its modules may be in `src`."""
    (tmp_path / "plugins").mkdir()
    project = add_project(tmp_path / "plugins", "pico")
    (project / "src").mkdir()
    (project / "minwallet_pico.py").rename(project / "src/minwallet_pico.py")
    with plugins_folder(project):
        assert is_installed("pico"), find_protocol_problems()


def test_a_second_search_finds_the_same(folder: Path) -> None:
    """A search adds the folder to `sys.path`, so the next one finds its packages in two ways."""
    add_package(folder, "target")
    add_wheel(folder, "wheel")
    assert is_installed("wheel")
    forget_packages()
    assert {"target", "wheel"} < set(list_protocols())
    assert find_protocol_problems() == []


def test_a_removed_package_is_gone(folder: Path) -> None:
    """No trace of it is a problem."""
    wheel = add_wheel(folder, "wheel")
    assert is_installed("wheel")
    wheel.unlink()
    forget_packages()
    assert list_protocols() == INSTALLED
    assert find_protocol_problems() == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit('bye\\n\\x1b[31mred')", "SystemExit: bye ?[31mred"),
        ("raise BaseException('boo')", "BaseException: boo"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("from asyncio import CancelledError\nraise CancelledError", "CancelledError"),
        (f"{MINIMAL.format(name='broken')}    def __init__(self): raise BaseException('boo')\n", "BaseException: boo"),
        ("class Silent(Exception):\n    def __str__(self): raise self\nraise Silent", "Silent"),
        ("class Quiet(BaseException):\n    def __str__(self): raise self\nraise Quiet", "Quiet"),
        ("1 / 0", "ZeroDivisionError"),
        ("def broken(:", "SyntaxError"),
        ("Minimal = None", "names no class derived from"),
        ("", "AttributeError"),
    ],
)
def test_a_package_that_fails_to_import_stops_nothing_else(folder: Path, source: str, words: str) -> None:
    """It is one problem of one line, and the other protocols work."""
    add_package(folder, "broken", source or "# empty")
    add_package(folder, "good")
    assert list_protocols() == tuple(sorted(["good", *INSTALLED]))
    assert not is_installed("broken")
    with pytest.raises(KeyError):
        load_protocol("broken")
    assert read_problem().startswith(f"protocol 'broken' of minwallet-broken 1.0 in {folder} is not used: ")
    assert words in read_problem()


def test_ctrl_c_ends_the_search_for_packages(folder: Path) -> None:
    """It is the operator's, and no fault of the package that is being imported."""
    add_package(folder, "slow", "import signal\nsignal.raise_signal(signal.SIGINT)")
    with pytest.raises(KeyboardInterrupt):
        list_protocols()


@pytest.mark.parametrize("source", ["raise BaseException('boo')", "def Part(): raise SystemExit('bye')"])
def test_a_part_that_cannot_be_loaded_is_an_exception(folder: Path, source: str) -> None:
    """Whatever the part raises, the caller can catch it, and continue with the other protocols."""
    add_package(folder, "good", f"{MINIMAL.format(name='good')}    dealer = 'minwallet_good_part:Part'\n")
    (folder / "minwallet_good_part.py").write_text(source)
    with pytest.raises(InvalidPackage, match=r"^(BaseException: boo|SystemExit: bye)$"):
        registry.create_part("good", "dealer")


def test_packages_that_are_loaded_at_the_same_time_leave_stdout_as_it_was() -> None:
    """The first one that ends must not restore it while another one is still being loaded."""
    before = sys.stdout
    with ExitStack() as second:
        with packages.loading():
            second.enter_context(packages.loading())
        assert sys.stdout is sys.stderr
    assert sys.stdout is before


@pytest.mark.parametrize("own", OWN_PROTOCOLS)
def test_no_package_replaces_a_protocol_of_minwallet(folder: Path, own: str) -> None:
    """The name is taken, and the package is not imported."""
    add_package(folder, own, "raise AssertionError('imported')")
    assert type(load_protocol(own)).__module__.startswith("minwallet.protocols.")
    assert re.search(rf"protocol '{own}' of .* is not used: minwallet .* has a protocol with this name", read_problem())


def test_the_first_of_two_packages_with_one_name_stays(folder: Path) -> None:
    """Both are named, so that the operator removes one."""
    add_package(folder, "twice")
    add_wheel(folder, "twice", version="2.0")
    assert is_installed("twice")
    problem = read_problem()
    assert "minwallet-twice 1.0 in " in problem
    assert "minwallet-twice 2.0 in " in problem
    assert problem.endswith("has a protocol with this name; remove one of them")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/wallet", "the path '/wallet' is one of protocol 'wallet-v2': '/wallet'"),
        ("/wallet/{any}", "is one of protocol 'wallet-v2': '/wallet/{wallet_token}'"),
        ("/wallet/fixed", "is one of protocol 'wallet-v2': '/wallet/{wallet_token}'"),
        ("/api/{operation}", "is one of protocol 'vela': '/api/bet'"),
        ("/{any}/thing", "belongs to the pages of the server"),
        ("/admin/thing", "belongs to the pages of the server"),
        ("/metrics", "belongs to the pages of the server"),
    ],
)
def test_a_route_that_another_one_has_is_refused(folder: Path, path: str, words: str) -> None:
    """It would take the calls of another protocol, or hide a page."""
    add_package(folder, "thief", MINIMAL.format(name="thief").replace('"/thief"', repr(path)))
    assert list_protocols() == INSTALLED
    assert words in read_problem()


def test_a_module_of_the_folder_does_not_replace_a_library(folder: Path) -> None:
    """The folder is at the end of `sys.path`."""
    (folder / "json.py").write_text("raise AssertionError")
    (folder / "minwallet").mkdir()
    (folder / "minwallet/__init__.py").write_text("raise AssertionError")
    add_package(folder, "good", "import json.decoder\n" + MINIMAL.format(name="good"))
    assert is_installed("good"), find_protocol_problems()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "invalid name"),
        ("Pico", "invalid name"),
        ("pi co", "invalid name"),
        ("p" * 21, "invalid name"),
        ("pico-", "invalid name"),
        ("1pico", "begin with a letter"),
        ("pi--co", "single '-'"),
        ("operator", "reserved"),
        ("vela", "installed"),
        ("wallet", "the path '/wallet' is one of protocol 'wallet-v2'"),
        ("demo", "belongs to the pages"),
    ],
)
def test_a_name_for_a_new_package_is_checked(name: str, words: str) -> None:
    """The new protocol gets a path of its own, so neither name nor path may be taken."""
    with pytest.raises(InvalidPackage, match=re.escape(words)):
        registry.check_new_protocol(name)
    registry.check_new_protocol("pico")


def test_a_place_that_cannot_be_read_stops_nothing_else(folder: Path) -> None:
    """It has no protocol's name, so the problem begins with the place."""
    (folder / "text.whl").write_text("text")
    add_package(folder, "good")
    assert is_installed("good")
    assert read_problem() == f"{folder}/text.whl is not used: it is not a wheel: not a zip archive"
