"""Packages with a protocol, as pip installs them: for tests with a protocol that is not minwallet's own.

A test writes such a package into a folder. A process finds it there with the folder in PYTHONPATH, and the process of
the test inside `installed`.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from minwallet.protocols import packages, registry
from tests.support import Cli

OWN_PROTOCOLS = ("vela", "wallet-v2")
"""minwallet's own protocols, in the order of `list_protocols`."""

OTHER_PROTOCOLS = tuple(each for each in registry.list_protocols() if each not in OWN_PROTOCOLS)
"""The protocols that packages of the tests' environment have. All tests pass with such a package, and without one."""

SIGNED_PROTOCOL = Path(__file__).parent / "signed_protocol.py"

ORBIT = Path(__file__).parent.parent / "sample_data" / "orbit" / "minwallet_orbit.py"
"""The example package's module. Its class is `Orbit`."""


def write_protocol_package(
    folder: Path,
    source: Path | str = SIGNED_PROTOCOL,
    *,
    name: str = "signed",
    object_name: str = "SignedProtocol",
    version: str = "1.0",
) -> Path:
    """Write a package with one protocol into the folder, and return the folder.

    The package is `minwallet-NAME`. Its only module `minwallet_NAME` is a copy of the file `source`, or has this text.
    """
    module = f"minwallet_{name.replace('-', '_')}"
    metadata = folder / f"{module}-{version}.dist-info"
    metadata.mkdir(parents=True)
    files = {
        folder / f"{module}.py": source.read_text() if isinstance(source, Path) else source,
        metadata / "METADATA": f"Metadata-Version: 2.1\nName: minwallet-{name}\nVersion: {version}\n",
        metadata / "entry_points.txt": f"[{packages.ENTRY_POINT_GROUP}]\n{name} = {module}:{object_name}\n",
    }
    for path, text in files.items():
        path.write_text(text)
    return folder


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Have the registry of this process find the folder's packages inside the block.

    They replace installed packages with the same names. Their modules are imported anew, and removed after the block.
    """
    names = [path.stem for path in folder.glob("*.py")]
    hidden = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    with patch.object(sys, "path", [str(folder), *sys.path]):
        _clear_caches()
        try:
            yield
        finally:
            for name in names:
                sys.modules.pop(name, None)
            sys.modules.update(hidden)
    _clear_caches()


def add_secret(cli: Cli, folder: Path, secret: str, agent: str = "default", protocol: str = "signed") -> str:
    """Add the secret by the command line, with the folder's packages. Return its fingerprint."""
    (file := folder / "secret.txt").write_text(f"{secret}\n")
    with installed(folder):
        added = cli("agent", "secret", "add", agent, protocol, "--from-file", file)
    fingerprint: str = added["fingerprint"]
    return fingerprint


def _clear_caches() -> None:
    for each in vars(registry).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()
