"""The packages that name protocols, and where they are found.

Places, in this order:

1. minwallet's own package.
2. The other packages of this Python: the distributions on `sys.path`.
3. The plugins folder. It holds wheels, packages as `pip install --target` writes them, and project folders with a
   `pyproject.toml`. The folder itself may be such a project.

Rules

- A search reads metadata only, and imports no package.
- A package of the plugins folder is imported from the end of `sys.path`. So it cannot replace a module of minwallet or
  of its libraries.
- A plugins folder is used only if it belongs to root or to this user: its owner decides what this process does.
- A place that cannot be read is one problem, and stops nothing else.
"""

import os
import re
import sys
import threading
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

if TYPE_CHECKING:
    # The module takes tens of ms to import, and most commands need no protocol.
    from importlib.metadata import Distribution, EntryPoint

ENTRY_POINT_GROUP = "minwallet.protocols"

OWN_DISTRIBUTION = "minwallet"

MAX_FAULT_LENGTH = 300
"""The longest text of a stranger's exception, in characters."""

PLUGINS_FOLDER_NAME = "minwallet.d"
"""The name of the plugins folder beside the one file."""


class ProtocolPackage(NamedTuple):
    """A package that names a protocol.

    `place` is the folder or wheel that contains the package. `search_paths` are added to `sys.path` before its import.
    """

    protocol: str
    entry_point: "EntryPoint"
    distribution: str
    version: str
    place: str
    search_paths: tuple[str, ...] = ()

    @property
    def is_own(self) -> bool:
        return self.distribution == OWN_DISTRIBUTION

    def load_class(self) -> object:
        """Import the package, and return the object that its entry point names. Raise what the import raises."""
        sys.path += [path for path in self.search_paths if path not in sys.path]
        return self.entry_point.load()

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} in {self.place}"


class UnreadablePlace(NamedTuple):
    """A place that may contain protocols, and the reason why it cannot be read.

    `has_advice` is True if the reason ends with what to do.
    """

    place: str
    reason: str
    has_advice: bool = False


def choose_plugins_folder(setting: str) -> Path | None:
    """Return the folder that the setting names, by default `minwallet.d` beside the one file, None if there is none."""
    if setting:
        return Path(setting)
    program = os.environ.get("PEX")
    folder = Path(program).absolute().parent / PLUGINS_FOLDER_NAME if program else None
    return folder if folder and folder.is_dir() else None


@cache
def find_own_packages() -> Sequence[ProtocolPackage]:
    """Return the protocols of minwallet's own package, in order of their names."""
    from importlib.metadata import distribution  # noqa: PLC0415 slow to import, as above

    return sorted(_read_distribution(distribution(OWN_DISTRIBUTION)))


def find_installed_packages() -> Iterator[ProtocolPackage | UnreadablePlace]:
    """Yield the protocols of this Python's other packages, in order of their names."""
    from importlib.metadata import distributions  # noqa: PLC0415 slow to import, as above

    seen = {OWN_DISTRIBUTION}
    found: list[ProtocolPackage] = []
    for each in distributions():
        try:
            packages = list(_read_distribution(each))
        except Exception as error:
            yield UnreadablePlace(_describe_place(each), describe_fault(error))
            continue
        # The first of two on `sys.path` hides the other, as it does for an import.
        found += [package for package in packages if package.distribution not in seen]
        seen |= {package.distribution for package in packages}
    yield from sorted(found)


def find_plugins(folder: Path) -> Iterator[ProtocolPackage | UnreadablePlace]:
    """Yield the protocols of the plugins folder, in order of their names, and each place that cannot be read."""
    try:
        owner = folder.stat().st_uid
        entries = sorted(folder.iterdir())
    except OSError as error:
        yield UnreadablePlace(str(folder), (error.strerror or str(error)).lower())
        return
    if owner not in {0, os.geteuid()}:
        yield UnreadablePlace(
            str(folder), "it belongs to another user; run minwallet as its owner, or change the owner", has_advice=True
        )
        return
    wheels = [entry for entry in entries if entry.suffix == ".whl"]
    projects = [entry for entry in (folder, *entries) if (entry / "pyproject.toml").is_file()]
    # A protocol of one wheel may use a library in another.
    shared = (str(folder), *map(str, wheels))
    found: list[ProtocolPackage] = []
    for place, read in [(folder, _read_folder), *((wheel, _read_wheel) for wheel in wheels)]:
        try:
            found += [each._replace(search_paths=shared) for each in read(place) if not each.is_own]
        except Exception as error:
            yield UnreadablePlace(str(place), describe_fault(error), isinstance(error, InvalidPackageWithAdvice))
    for project in projects:
        try:
            found += _read_project(project)
        except Exception as error:
            yield UnreadablePlace(str(project), describe_fault(error))
    yield from sorted(found)


class _StdoutRedirection:
    """Sends the prints of packages to stderr as long as at least one is being loaded.

    stdout belongs to the command: it may be a document that a program reads. Several threads can load at the same time.
    The lock is held only for the change itself, because a package that waits for another thread's import would not
    release it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._stdout: TextIO | None = None

    def begin(self) -> None:
        with self._lock:
            if not self._count:
                self._stdout, sys.stdout = sys.stdout, sys.stderr
            self._count += 1

    def end(self) -> None:
        with self._lock:
            self._count -= 1
            if not self._count:
                sys.stdout, self._stdout = self._stdout, None


_stdout_redirection = _StdoutRedirection()


@contextmanager
def loading() -> Iterator[None]:
    """Run code of a package within the block, to import it or to create its objects. Its prints go to stderr.

    Raise InvalidPackage for an exception that would end more than the loading, such as SystemExit. Ctrl-C is not a
    fault of the package, so KeyboardInterrupt is raised as it is.
    """
    _stdout_redirection.begin()
    try:
        yield
    except (Exception, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise InvalidPackage(describe_fault(error)) from error
    finally:
        _stdout_redirection.end()


def describe_fault(error: BaseException) -> str:
    """Return the error in one line."""
    if isinstance(error, InvalidPackage):
        return str(error)
    name = type(error).__name__
    try:
        text = f"{name}: {error}"
    except KeyboardInterrupt:
        raise
    except BaseException:  # the class is a stranger's, and so is its `__str__`
        text = name
    return to_one_line(text.rstrip(": "))[:MAX_FAULT_LENGTH]


def to_one_line(text: str) -> str:
    """Return the text of a stranger in one printable line."""
    return "".join(each if each.isprintable() else "?" for each in " ".join(text.split()))


class InvalidPackage(Exception):
    """A package that breaks a rule. The message says which one."""


class InvalidPackageWithAdvice(InvalidPackage):
    """A package that breaks a rule. The message ends with what to do."""


def _read_folder(folder: Path) -> Iterator[ProtocolPackage]:
    from importlib.metadata import distributions  # noqa: PLC0415 slow to import, as above

    for each in distributions(path=[str(folder)]):
        yield from _read_distribution(each)


def _read_wheel(wheel: Path) -> Iterator[ProtocolPackage]:
    """Yield the protocols of a wheel, which is used as it is. Raise InvalidPackage if that is impossible."""
    from importlib.metadata import distributions  # noqa: PLC0415 slow to import, as above

    with wheel.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise InvalidPackage("it is not a wheel: not a zip archive")
    if not wheel.stem.endswith("-none-any"):
        raise InvalidPackageWithAdvice("it is not pure Python; install it with pip install --target into the folder")
    found = list(distributions(path=[str(wheel)]))
    if not found:
        raise InvalidPackage("it is not a wheel: without metadata")
    for each in found:
        yield from _read_distribution(each, place=str(wheel))


def _read_distribution(distribution: "Distribution", place: str = "") -> Iterator[ProtocolPackage]:
    # Most packages have no such group, and parsing all their entry points would take most of the time.
    if ENTRY_POINT_GROUP in (distribution.read_text("entry_points.txt") or ""):
        for each in distribution.entry_points.select(group=ENTRY_POINT_GROUP):
            # Packaging compares names without regard to case, and to the kind of separator.
            name = re.sub(r"[-_.]+", "-", to_one_line(_read_field(distribution, "Name") or "without-name")).lower()
            version = to_one_line(_read_field(distribution, "Version") or "without version")
            yield ProtocolPackage(each.name, each, name, version, place or _describe_place(distribution))


def _read_project(folder: Path) -> Iterator[ProtocolPackage]:
    """Yield the protocols of a project folder. Its modules are in the folder itself, or in `src`."""
    from importlib.metadata import EntryPoint  # noqa: PLC0415 slow to import, as above

    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text("utf-8")).get("project", {})
    modules = folder / "src" if (folder / "src").is_dir() else folder
    if project.get("name") == OWN_DISTRIBUTION:
        return
    for name, value in project.get("entry-points", {}).get(ENTRY_POINT_GROUP, {}).items():
        entry_point = EntryPoint(name, value, ENTRY_POINT_GROUP)
        version = to_one_line(str(project.get("version", "without version")))
        distribution = to_one_line(str(project.get("name", "without-name")))
        yield ProtocolPackage(name, entry_point, distribution, version, str(folder), (str(modules),))


def _describe_place(distribution: "Distribution") -> str:
    return str(distribution.locate_file("")).rstrip("/")


def _read_field(distribution: "Distribution", name: str) -> str | None:
    """Return a field of the metadata, None if it is missing. Python 3.12 warns if a missing one is read."""
    fields = distribution.metadata
    if name not in fields:
        return None
    return fields[name]
