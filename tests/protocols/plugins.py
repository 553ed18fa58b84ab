"""A plugins folder for a test, and the packages in it."""

import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from minwallet.protocols import packages, registry
from minwallet.scaffold import render_package
from tests.protocol_package import write_protocol_package

MINIMAL = """
from minwallet.ledger.commands import Balance
from minwallet.protocols.wire import WireProtocol, WireRoute

class Minimal(WireProtocol):
    name = {name!r}
    routes = (WireRoute("POST", "/{name}"),)
    operations = {{"balance": Balance}}
    parse = render = render_error = lambda *_: None
"""


@contextmanager
def plugins_folder(folder: Path) -> Iterator[Path]:
    """Have the registry of this process look into the folder, inside the block. Forget its modules after it."""
    folder.mkdir(exist_ok=True)
    modules = set(sys.modules)
    with patch.object(sys, "path", [*sys.path]):
        registry.use_plugins_folder(lambda: folder)
        try:
            yield folder
        finally:
            registry.use_plugins_folder(lambda: None)
            for name in set(sys.modules) - modules:
                if name.startswith("minwallet_"):
                    del sys.modules[name]


def forget_packages() -> None:
    """Have the registry search again."""
    packages.find_own_packages.cache_clear()
    registry._load_package.cache_clear()
    registry._survey_packages.cache_clear()


def add_package(
    folder: Path, name: str, source: str = "", *, version: str = "1.0", object_name: str = "Minimal"
) -> None:
    """Write a package with a small protocol into the folder, as `pip install --target` does."""
    write_protocol_package(
        folder, source or MINIMAL.format(name=name), name=name, object_name=object_name, version=version
    )


def add_wheel(folder: Path, name: str, *, tag: str = "py3-none-any", source: str = "", version: str = "1.0") -> Path:
    """Write such a package as a wheel into the folder."""
    unpacked = folder.parent / f"unpacked-{name}-{version}"
    add_package(unpacked, name, source, version=version)
    wheel = folder / f"minwallet_{name}-{version}-{tag}.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file in sorted(unpacked.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(unpacked))
    return wheel


def add_project(folder: Path, name: str) -> Path:
    """Write a project folder into the folder, as `minwallet protocol new` does."""
    project = folder / f"minwallet-{name}"
    project.mkdir()
    for file, text in render_package(name).items():
        (project / file).write_text(text)
    return project
