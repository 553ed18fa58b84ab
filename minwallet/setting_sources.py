"""The sources of the settings: the environment, `.env` and `minwallet.toml`, read strictly.

Whose files
===========

A wallet has the same settings wherever a command runs, so they come from the files in its own folder:

1. An option, the environment, or `db` in a file of the current folder names the wallet file. Otherwise it is
   `minwallet.db` in the current folder.
2. If the wallet's folder has settings, they are used. Those of the current folder are ignored, and a notice says so if
   one of them differs.
3. If the wallet's folder has none, those of the current folder are used, and a notice says so.

A folder has settings if it has a `minwallet.toml`, or a `.env` with a setting: other programs use `.env` too. A
relative path in a file is relative to that file's folder.

A folder that this user may not enter has no settings. Otherwise no command would work that another user starts from a
private folder. A file whose name this user sees, but may not read, is different if its settings would be used: it could
set the callback key. Commands say that they ignore it, and a server does not start.

What is an error
================

A setting that gets lost on its way could be the callback key, and the server would run without protection. So a source
is either understood completely, or it is an error that names the source and the line:

- a line of `.env` that cannot be parsed, or a reference `${NAME}` to a variable that is not set
- an unknown name, also one that misses the prefix MINWALLET_ by a typing mistake
- a name given twice in one source, also in another case; the case of a variable's name does not matter
- an empty protection that hides one that another source sets
- a protection in an ignored file of the current folder that is not set in the wallet's folder
- a file that is there but cannot be read: a folder, a symbolic link without a target, text that is not UTF-8

Names of other programs are ignored in the environment and in `.env`.
"""

import os
import re
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple, cast

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

ENV_PREFIX, PREFIX_LETTERS = "MINWALLET_", "MINWALLET"

ENVIRONMENT, ENV_FILE, TOML_FILE = "environment", ".env", "minwallet.toml"

PROTECTIONS = ("callback_key", "callback_allow")
"""The settings without which strangers can call the provider endpoints."""

PATHS = ("db", "backup_to", "plugins")
"""The settings that are paths."""

MIN_PREFIX_SIMILARITY = 0.85
"""The similarity from which another prefix counts as a misspelt MINWALLET_: MINWALET_ is 0.94, MYWALLET_ is 0.82."""

REFERENCE = re.compile(r"\$\{([^}:]*)}")
"""A reference to a variable without a default, such as `${HOME}`, as python-dotenv replaces it."""


class SettingsError(ValueError):
    """An invalid setting. The message names it and says what to set."""


class Source(NamedTuple):
    """A source of settings with the values that it sets, by the names of the settings.

    `file` is None for the environment. A file that this user may not read has no values.
    """

    origin: str
    values: Mapping[str, Any]
    file: Path | None = None
    is_readable: bool = True

    @property
    def has_settings(self) -> bool:
        return bool(self.values) or not self.is_readable or self.origin.endswith(TOML_FILE)


class SettingSources(NamedTuple):
    """The sources in order of precedence, and a notice of one line for each deviation from the wallet's own files."""

    sources: Sequence[Source]
    notices: Sequence[str]


def read_sources(known: Collection[str], db: object, default_db: Path) -> SettingSources:
    """Return the sources of the settings of the wallet file `db`. Raise SettingsError.

    `known` has the names of all settings. If `db` is None, the sources name the wallet file, or it is `default_db`.
    """
    environment = Source(ENVIRONMENT, _read_environment(known))
    current = _read_folder(Path(), known)
    named = [source for source in (environment, *current) if "db" in source.values]
    pointer = None
    if db is None:
        pointer = named[0] if named else None
        db = _anchor_paths(pointer).values["db"] if pointer else default_db
    used, ignored, notices = current, list[Source](), list[str]()
    if folder := _find_other_folder(db):
        own = _read_folder(folder, known)
        if any(source.has_settings for source in own):
            used, ignored = own, current
        notices = _describe_folders(folder, used, ignored, current, pointer)
    for name in PROTECTIONS:
        _reject_hidden_protection(name, [each for each in (environment, *used) if name in each.values])
        _reject_lost_protection(name, (environment, *used), ignored)
    notices += [
        f"cannot read the settings file '{_absolute(each)}': permission denied; its settings are ignored, so run this"
        " command as its owner"
        for each in used
        if not each.is_readable
    ]
    # The current folder may name a wallet file in another folder, whose settings are used then.
    pointers = [source._replace(values={"db": source.values["db"]}) for source in ignored if "db" in source.values]
    return SettingSources([_anchor_paths(each) for each in (environment, *pointers, *used)], notices)


def resolve_link(path: Path) -> Path:
    """Return the target of a symbolic link, and any other path as it is."""
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):
        return path  # opening the path fails later, with a better message


def _find_other_folder(db: object) -> Path | None:
    """Return the absolute folder of the wallet file. Return None if it is the current one, or no valid path."""
    try:
        path = Path(cast(Any, db))
        folder, current = resolve_link(path).parent.resolve(), Path().resolve()
    except (OSError, RuntimeError, TypeError, ValueError):
        return None
    return None if folder == current else folder


def _describe_folders(
    folder: Path, used: Sequence[Source], ignored: Sequence[Source], current: Sequence[Source], pointer: Source | None
) -> list[str]:
    """Return the notice about the settings of the current folder, if one makes a difference. `db` makes none.

    `pointer` is the source that named the wallet file, if one did.
    """
    effective = {name: value for source in reversed(used) for name, value in source.values.items()}
    if ignored:
        differing = [
            each
            for each in ignored
            if any(str(effective.get(name)) != str(value) for name, value in each.values.items() if name != "db")
        ]
        subject = "the other settings" if pointer in differing else "the settings"
        return [f"{subject} in {_join(differing)} are ignored, because {folder} has its own"] if differing else []
    set_here = [each for each in current if set(each.values) - {"db"}]
    return [f"settings are read from {_join(set_here)}, because {folder} has none"] if set_here else []


def _join(sources: Sequence[Source]) -> str:
    return " and ".join(map(_absolute, sources))


def _absolute(source: Source) -> str:
    return str(Path(source.origin).absolute())


def _anchor_paths(source: Source) -> Source:
    """Return the source with absolute paths, if it is a file in another folder. A path with `~` is refused later."""
    if source.file is None or not source.file.is_absolute():
        return source
    folder = source.file.parent
    paths = {
        name: str(folder / value)
        for name in PATHS
        if isinstance(value := source.values.get(name), str) and value and "\0" not in value and value[0] != "~"
    }
    return source._replace(values={**source.values, **paths})


def variable_name(name: str) -> str:
    """Return the environment variable of a setting."""
    return f"{ENV_PREFIX}{name.upper()}"


def _read_environment(known: Collection[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for variable, value in os.environ.items():
        name = _parse_variable(variable, known, "in the environment")
        if name is None:
            continue
        if name in values:
            raise SettingsError(f"{variable_name(name)} is given twice in the environment, in upper and lower case")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise SettingsError(f"{variable} in the environment is not UTF-8 text; set it again") from error
        values[name] = value
    return values


def _read_folder(folder: Path, known: Collection[str]) -> list[Source]:
    """Return the settings files of a folder. A file that this user may not see is none."""
    return [
        source
        for name, parse in ((ENV_FILE, _parse_env_file), (TOML_FILE, _parse_toml_file))
        if (source := _read_file(folder / name, parse, known))
    ]


def _read_file(
    file: Path, parse: Callable[[str, Path, Collection[str]], dict[str, Any]], known: Collection[str]
) -> Source | None:
    try:
        data = file.read_bytes()
    except OSError as error:
        if not os.path.lexists(file):
            return None
        if isinstance(error, PermissionError):
            return Source(str(file), {}, file, is_readable=False)
        raise SettingsError(
            f"cannot read the settings file '{file}': {error.strerror}; correct or remove it"
        ) from error
    return Source(str(file), parse(_decode(data, file), file, known), file)


def _decode(data: bytes, file: Path) -> str:
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"cannot read {file}: not UTF-8 text in line {line}; save it as UTF-8") from error


def _parse_env_file(text: str, file: Path, known: Collection[str]) -> dict[str, Any]:
    bindings = [(each, _line_number(each)) for each in parse_stream(StringIO(text))]
    for binding, line in bindings:
        _require_parsed(binding, line, file)
    resolved = dotenv_values(stream=StringIO(text))
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    # A reference sees the environment and the lines above it, as in a shell.
    referable = {variable for variable, value in os.environ.items() if value}
    for binding, line in bindings:
        if binding.key is None or binding.value is None:
            continue  # a comment or an empty line
        place = f"in {file} line {line}"
        name = _parse_variable(binding.key, known, place)
        value = resolved[binding.key] or ""
        if name in lines:
            raise SettingsError(f"{variable_name(name)} is given twice in {file}: lines {lines[name]} and {line}")
        if name is not None:
            for variable in REFERENCE.findall(binding.value):
                if variable not in referable:
                    raise SettingsError(
                        f"{binding.key} {place} refers to the variable {variable!r}, which is not set above it; set it"
                        " there, or write the value itself"
                    )
            values[name], lines[name] = value, line
        if value:
            referable.add(binding.key)
    return values


def _line_number(binding: Binding) -> int:
    """Return the line of the binding's first character. python-dotenv counts from the empty lines before it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _require_parsed(binding: Binding, line: int, file: Path) -> None:
    """Raise SettingsError for a line that cannot be parsed, or that takes settings into its quotes."""
    text = binding.original.string.strip()
    # A quote that is closed on a later line is legal, but it must not hide the settings between.
    hides_settings = "\n" in text and ENV_PREFIX.lower() in text.lower()
    has_no_value = binding.key is not None and binding.value is None
    if binding.error or hides_settings or has_no_value:
        reason = "it has no '='" if "=" not in text else "check its quotes and spaces"
        # The text is not shown, because it may contain the callback key.
        raise SettingsError(f"cannot parse {file} line {line}: {reason}; write lines like: MINWALLET_PORT=8000")


def _parse_toml_file(text: str, file: Path, known: Collection[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"invalid TOML in {file}: {error}; write lines like: port = 8000") from error
    for name in values:
        if name not in known:
            raise _unknown_setting(name, f"in {file}", {each: each for each in known})
    return values


def _parse_variable(variable: str, known: Collection[str], place: str) -> str | None:
    """Return the name of the setting that the variable sets. Return None for a variable of another program.

    Raise SettingsError for a name that only resembles a setting.
    """
    has_prefix = variable.upper().startswith(ENV_PREFIX)
    name = variable[len(ENV_PREFIX) :].lower()
    if has_prefix and variable.isascii() and name in known:
        return name
    if not (has_prefix or _has_misspelt_prefix(variable, known)):
        return None
    raise _unknown_setting(variable, place, {each: variable_name(each) for each in known})


def _has_misspelt_prefix(variable: str, known: Collection[str]) -> bool:
    """Return True for the name of a setting whose prefix is nearly MINWALLET_, or has other characters around it."""
    letters = re.sub("[^A-Z0-9]", "", variable.upper())
    suffixes = [suffix for name in known if letters.endswith(suffix := name.replace("_", "").upper())]
    prefixes = [letters.removesuffix(suffix) for suffix in suffixes]
    return any(SequenceMatcher(None, each, PREFIX_LETTERS).ratio() >= MIN_PREFIX_SIMILARITY for each in prefixes)


def _unknown_setting(given: str, place: str, spellings: Mapping[str, str]) -> SettingsError:
    """Return the error for an unknown name. `spellings` has each setting's name as it is written at this place."""
    # After a wrong separator, such as a colon, the "name" contains the value.
    shown = re.sub(r"(\w)[^\w-].*", r"\1…", given[:80], flags=re.ASCII | re.DOTALL)
    name = re.sub("[^a-z0-9_]", "", shown.lower().replace("-", "_"))
    by_name = {each.lower(): each for each in spellings.values()}
    if name.startswith(ENV_PREFIX.lower()):
        # The common prefix would make all names similar.
        name, by_name = name.removeprefix(ENV_PREFIX.lower()), dict(spellings)
    nearest = get_close_matches(name, by_name, 1)
    advice = f"did you mean {by_name[nearest[0]]}?" if nearest else f"use one of {', '.join(spellings.values())}"
    return SettingsError(f"unknown setting {shown!r} {place}; {advice}")


def _reject_hidden_protection(name: str, sources: Sequence[Source]) -> None:
    """Raise SettingsError if the first source is empty and another is not: which of them is meant is unknown."""
    if sources and not sources[0].values[name]:
        for other in sources[1:]:
            if other.values[name]:
                first = "the environment" if sources[0].origin == ENVIRONMENT else sources[0].origin
                raise SettingsError(
                    f"{variable_name(name)} is empty in {first} but set in {other.origin}; remove one of them"
                )


def _reject_lost_protection(name: str, used: Sequence[Source], ignored: Sequence[Source]) -> None:
    """Raise SettingsError if only an ignored file sets this protection."""
    if any(source.values.get(name) or not source.is_readable for source in used):
        return
    for source in ignored:
        if source.values.get(name):
            folder = next(each.file.parent for each in used if each.file)
            raise SettingsError(
                f"{variable_name(name)} is set in {_absolute(source)}, but not in the wallet's folder {folder}, whose"
                " settings are used; set it there too, or run the command in another folder"
            )
