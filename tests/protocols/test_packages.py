"""The search for packages: places that cannot be read, and what is no package."""

import os
from pathlib import Path

import pytest

from minwallet.protocols import packages
from minwallet.protocols.packages import (
    ProtocolPackage,
    UnreadablePlace,
    choose_plugins_folder,
    find_installed_packages,
    find_plugins,
)
from tests.protocol_package import installed, write_protocol_package
from tests.protocols.plugins import add_package, add_project, add_wheel


def read_reasons(folder: Path) -> dict[str, str]:
    """Return the reasons of the places that cannot be read, by the names of their files."""
    return {Path(each.place).name: each.reason for each in find_plugins(folder) if isinstance(each, UnreadablePlace)}


def test_the_folder_is_beside_the_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed program has none by default. The setting names any other."""
    monkeypatch.delenv("PEX", raising=False)
    assert choose_plugins_folder("") is None
    assert choose_plugins_folder("/srv/protocols") == Path("/srv/protocols")
    monkeypatch.setenv("PEX", str(tmp_path / "minwallet"))
    assert choose_plugins_folder("") is None
    (tmp_path / "minwallet.d").mkdir()
    assert choose_plugins_folder("") == tmp_path / "minwallet.d"


def test_a_folder_that_does_not_exist_is_a_problem(tmp_path: Path) -> None:
    """A setting names it, so its protocols are missing."""
    assert read_reasons(tmp_path / "none") == {"none": "no such file or directory"}


def test_a_folder_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner decides what this process does, so only this user and root are trusted."""
    add_package(tmp_path, "foreign")
    assert [type(each) for each in find_plugins(tmp_path)] == [ProtocolPackage]
    owner = tmp_path.stat().st_uid
    if owner == 0:
        os.chown(tmp_path, 12345, -1)
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert read_reasons(tmp_path) == {
        tmp_path.name: "it belongs to another user; run minwallet as its owner, or change the owner"
    }


def test_what_is_no_wheel_is_a_problem(tmp_path: Path) -> None:
    """Each one has its reason. The other wheels are found."""
    (tmp_path / "text-1.0-py3-none-any.whl").write_text("text")
    (tmp_path / "folder-1.0-py3-none-any.whl").mkdir()
    add_wheel(tmp_path, "native", tag="cp311-cp311-linux_x86_64")
    add_wheel(tmp_path, "good")
    (tmp_path / "empty-1.0-py3-none-any.whl").write_bytes(b"PK\x05\x06" + bytes(18))
    reasons = read_reasons(tmp_path)
    assert reasons["text-1.0-py3-none-any.whl"] == "it is not a wheel: not a zip archive"
    assert reasons["empty-1.0-py3-none-any.whl"] == "it is not a wheel: without metadata"
    assert reasons["folder-1.0-py3-none-any.whl"].startswith("IsADirectoryError")
    assert "not pure Python" in reasons["minwallet_native-1.0-cp311-cp311-linux_x86_64.whl"]
    assert [each.protocol for each in find_plugins(tmp_path) if not isinstance(each, UnreadablePlace)] == ["good"]


def test_a_project_is_read_by_its_entry_points(tmp_path: Path) -> None:
    """A project without protocols and minwallet's own are nothing; a damaged one is a problem."""
    add_project(tmp_path, "pico")
    for name, text in {
        "other": "[project]\nname = 'other'",
        "clone": "[project]\nname = 'minwallet'\n[project.entry-points.'minwallet.protocols']\nx = 'x:X'",
        "damaged": "[project",
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    assert list(read_reasons(tmp_path)) == ["damaged"]
    found = [each for each in find_plugins(tmp_path) if not isinstance(each, UnreadablePlace)]
    assert [(each.protocol, each.distribution, each.version) for each in found] == [("pico", "minwallet-pico", "0.1.0")]


def test_a_copy_of_minwallet_in_the_folder_is_nothing(tmp_path: Path) -> None:
    """`pip install --target` may have installed it with a package that depends on it."""
    write_protocol_package(tmp_path, "", name="vela")
    metadata = next(tmp_path.glob("*.dist-info")) / "METADATA"
    metadata.write_text(metadata.read_text().replace("minwallet-vela", "minwallet"))
    assert [*find_plugins(tmp_path)] == []


def test_packages_of_this_python_are_found(tmp_path: Path) -> None:
    """minwallet's own is not among them. Metadata that cannot be read is a problem of its own."""
    write_protocol_package(tmp_path, name="signed")
    (tmp_path / "damaged-1.dist-info").mkdir()
    (tmp_path / "damaged-1.dist-info/entry_points.txt").write_bytes(b"\xff\xfe minwallet.protocols")
    with installed(tmp_path):
        found = [*find_installed_packages()]
    places = {each.place: each.reason for each in found if isinstance(each, UnreadablePlace)}
    assert list(places) == [str(tmp_path)]
    assert "UnicodeDecodeError" in places[str(tmp_path)]
    names = [each.protocol for each in found if not isinstance(each, UnreadablePlace)]
    assert "signed" in names
    assert not {"vela", "wallet-v2"} & set(names)


def test_metadata_without_name_and_version_is_read(tmp_path: Path) -> None:
    """The protocol can be used, and its package has a word in their place."""
    write_protocol_package(tmp_path, name="signed")
    next(tmp_path.glob("*.dist-info/METADATA")).write_text("Metadata-Version: 2.1\n")
    (found,) = find_plugins(tmp_path)
    assert str(found) == f"without-name without version in {tmp_path}"


def test_the_text_of_a_stranger_is_one_line() -> None:
    """Neither a line break nor an escape reaches a terminal or a log, and an exception is cut."""
    assert packages.to_one_line("a\nb\x1b[0m\u202e") == "a b?[0m?"
    assert packages.describe_fault(ValueError("x" * 400)) == "ValueError: " + "x" * 288
    assert packages.describe_fault(ValueError()) == "ValueError"


def test_ctrl_c_is_no_fault_of_a_package() -> None:
    """It ends the program even while the text of an exception is made."""

    class SlowTextError(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        packages.describe_fault(SlowTextError())
