"""The registry of the installed protocols, which their packages name in entry points.

A package has one entry point in the group `minwallet.protocols` for each protocol: the protocol's name, and its class
as `module:class`. wallet-v2 and vela are registered in the same way, by minwallet's own package.

Rules

1. minwallet's own protocols need no search of other packages. The others are searched once, when the first of them or a
   list of all is needed.
2. A package that cannot be imported, or fails a check, is a problem. It stops nothing else, whatever it raises: its
   protocol is not installed. `serve`, `doctor` and `minwallet protocols` name it. What it prints goes to stderr.
3. If two packages have the same protocol name or path, the first one found stays. The order is that of the module
   `packages`, so no package can replace a protocol of minwallet itself.
4. An optional part of a protocol is imported at its first use.
"""

import re
from collections.abc import Callable, Collection, Sequence
from functools import cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from minwallet.protocols.operator_service import OperatorServiceProtocol
from minwallet.protocols.packages import (
    InvalidPackage,
    InvalidPackageWithAdvice,
    ProtocolPackage,
    UnreadablePlace,
    describe_fault,
    find_installed_packages,
    find_own_packages,
    find_plugins,
    loading,
    to_one_line,
)
from minwallet.protocols.protocol_checks import build_protocol, check_name, check_path, check_routes
from minwallet.protocols.wire import WireProtocol


class InstalledProtocol(NamedTuple):
    """A protocol that can be used, with its package."""

    package: ProtocolPackage
    protocol: WireProtocol


class ProtocolProblem(NamedTuple):
    """A package that is not used, and the reason. `protocol` is "" if its metadata cannot be read.

    `has_advice` is True if the reason ends with what to do.
    """

    protocol: str
    origin: str
    reason: str
    has_advice: bool = False

    def __str__(self) -> str:
        subject = f"protocol '{self.protocol}' of {self.origin}" if self.protocol else self.origin
        return to_one_line(f"{subject} is not used: {self.reason}")


class _Survey(NamedTuple):
    installed: dict[str, InstalledProtocol]
    problems: list[ProtocolProblem]


_find_plugins_folder: Callable[[], Path | None] = lambda: None  # noqa: E731 it is replaced by a function


def use_plugins_folder(find_folder: Callable[[], Path | None]) -> None:
    """Set the function that returns the plugins folder, None if there is none. A search calls it once."""
    global _find_plugins_folder  # noqa: PLW0603 the registry is one for the process, as `sys.path` is
    _find_plugins_folder = find_folder
    _survey_packages.cache_clear()


def find_plugins_folder() -> Path | None:
    """Return the folder in which this process looks for protocols, None if there is none."""
    return _find_plugins_folder()


def list_protocols(wanted: Collection[str] = ()) -> tuple[str, ...]:
    """Return the names of the installed protocols in alphabetical order. With `wanted`, omit all others."""
    return tuple(sorted(name for name in _survey_packages().installed if not wanted or name in wanted))


def list_installed() -> Sequence[InstalledProtocol]:
    """Return the installed protocols with their packages, in alphabetical order."""
    return [_survey_packages().installed[name] for name in list_protocols()]


def find_protocol_problems() -> Sequence[ProtocolProblem]:
    """Return the packages that are not used. Each one as text is a line."""
    return _survey_packages().problems


def check_new_protocol(name: str) -> None:
    """Raise InvalidPackage if a new package cannot have a protocol with this name at the path `/NAME`."""
    check_name(name)
    if not re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise InvalidPackage("begin with a letter, and write single '-' between letters and digits")
    if is_installed(name):
        raise InvalidPackage("a protocol with this name is installed")
    check_path(f"/{name}", [each.protocol for each in list_installed()])


def is_installed(name: str) -> bool:
    """Check if a protocol has this name."""
    return _find_own(name) is not None or name in _survey_packages().installed


def load_protocol(name: str) -> WireProtocol:
    """Return the protocol. Raise KeyError if none with this name is installed."""
    own = _find_own(name)
    return _load_package(own) if own else _survey_packages().installed[name].protocol


def has_part(name: str, part: str) -> bool:
    """Check if the protocol has this optional part: `operator_service`, `dealer` or `conformance`."""
    return getattr(load_protocol(name), part) is not None


def load_part(name: str, part: str) -> Any:  # noqa: ANN401 each part has a type of its own
    """Return the object of an optional part. Raise KeyError if the protocol does not have it.

    Raise what its module raises, as `load_object` does.
    """
    return load_object(_find_target(name, part))


def create_part(name: str, part: str) -> Any:  # noqa: ANN401 each part has a type of its own
    """Return an instance of the class of an optional part. Raise as `load_part` does."""
    return create_object(_find_target(name, part))


def load_object(target: str) -> Any:  # noqa: ANN401 each part has a type of its own
    """Return the object of an import path `module:object`.

    Raise an Exception if that fails, whatever the module raises; only KeyboardInterrupt stays as it is.
    """
    module, _, attribute = target.partition(":")
    with loading():
        return getattr(import_module(module), attribute)


def create_object(target: str) -> Any:  # noqa: ANN401 each part has a type of its own
    """Return an instance of the class of an import path `module:class`. Raise as `load_object` does."""
    created = load_object(target)
    with loading():
        return created()


def load_operator_service(name: str) -> OperatorServiceProtocol:
    """Return the service of the protocol's provider. Raise KeyError if it has none, and otherwise as `load_part`."""
    service: OperatorServiceProtocol = create_part(name, "operator_service")
    return service


def _find_target(name: str, part: str) -> str:
    """Return the import path of an optional part. Raise KeyError if the protocol does not have it."""
    target: str | None = getattr(load_protocol(name), part)
    if target is None:
        raise KeyError(part)
    return target


def _find_own(name: str) -> ProtocolPackage | None:
    return next((each for each in find_own_packages() if each.protocol == name), None)


@cache
def _load_package(package: ProtocolPackage) -> WireProtocol:
    return build_protocol(package.protocol, package.load_class())


@cache
def _survey_packages() -> _Survey:
    """Load every protocol, in the order in which they are found."""
    installed: dict[str, InstalledProtocol] = {}
    problems: list[ProtocolProblem] = []
    folder = _find_plugins_folder()
    places = chain(find_own_packages(), find_installed_packages(), find_plugins(folder) if folder else ())
    for place in places:
        if isinstance(place, UnreadablePlace):
            problems.append(ProtocolProblem("", *place))
            continue
        try:
            check_name(place.protocol)
            if other := installed.get(place.protocol):
                if (other.package.place, other.package.entry_point) == (place.place, place.entry_point):
                    continue  # the plugins folder is on `sys.path` too
                raise InvalidPackageWithAdvice(f"{other.package} has a protocol with this name; remove one of them")
            # The checks too: an attribute of a stranger's class can be code.
            with loading():
                protocol = _load_package(place)
                check_routes(protocol, [each.protocol for each in installed.values()])
            installed[place.protocol] = InstalledProtocol(place, protocol)
        except Exception as error:
            has_advice = isinstance(error, InvalidPackageWithAdvice)
            problems.append(ProtocolProblem(place.protocol, str(place), describe_fault(error), has_advice))
    return _Survey(installed, problems)
