"""The sources of the settings: the environment, `.env` and `minwallet.toml`, read strictly.

A setting that gets lost on its way could be the callback key, and the server would run without protection. So a source
is either understood completely, or it is an error that names the source and the line:

- a line of `.env` that cannot be parsed, or a reference to a variable that is not set
- an unknown name, also one that misses the prefix MINWALLET_ by a typing mistake
- a name given twice in one source, also in another case; the case of a variable's name does not matter
- an empty protection that hides one that another source sets
- a file that is there but cannot be read: a folder, a symbolic link without a target, text that is not UTF-8

Names of other programs are ignored in the environment and in `.env`.
"""

import os
import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher, get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

ENV_PREFIX, PREFIX_LETTERS = "MINWALLET_", "MINWALLET"

ENVIRONMENT, ENV_FILE, TOML_FILE = "environment", ".env", "minwallet.toml"

PROTECTIONS = ("callback_key", "callback_allow")
"""The settings without which strangers can call the provider endpoints."""

MIN_PREFIX_SIMILARITY = 0.85
"""The similarity from which another prefix counts as a misspelt MINWALLET_: MINWALET_ is 0.94, MYWALLET_ is 0.82."""

REFERENCE = re.compile(r"\$\{([^}:]*)}")
"""A reference to a variable without a default, such as `${HOME}`, as python-dotenv replaces it."""


class SettingsError(ValueError):
    """An invalid setting. The message names it and says what to set."""


class Source(NamedTuple):
    """A source of settings with the values that it sets, by the names of the settings."""

    origin: str
    values: Mapping[str, Any]


def read_sources(known: Collection[str]) -> list[Source]:
    """Return the sources in order of precedence. `known` has the names of all settings. Raise SettingsError."""
    sources = [
        Source(ENVIRONMENT, _read_environment(known)),
        Source(ENV_FILE, _read_env_file(known)),
        Source(TOML_FILE, _read_toml_file(known)),
    ]
    for name in PROTECTIONS:
        _reject_hidden_protection(name, [each for each in sources if name in each.values])
    return sources


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


def _read_env_file(known: Collection[str]) -> dict[str, str]:
    text = _read_text(ENV_FILE)
    bindings = [(each, _line_number(each)) for each in parse_stream(StringIO(text))]
    for binding, line in bindings:
        _require_parsed(binding, line)
    resolved = dotenv_values(stream=StringIO(text))
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    # A reference sees the environment and the lines above it, as in a shell.
    referable = {variable for variable, value in os.environ.items() if value}
    for binding, line in bindings:
        if binding.key is None or binding.value is None:
            continue  # a comment or an empty line
        place = f"in {ENV_FILE} line {line}"
        name = _parse_variable(binding.key, known, place)
        value = resolved[binding.key] or ""
        if name in lines:
            raise SettingsError(f"{variable_name(name)} is given twice in {ENV_FILE}: lines {lines[name]} and {line}")
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


def _require_parsed(binding: Binding, line: int) -> None:
    """Raise SettingsError for a line that cannot be parsed, or that takes settings into its quotes."""
    text = binding.original.string.strip()
    # A quote that is closed on a later line is legal, but it must not hide the settings between.
    hides_settings = "\n" in text and ENV_PREFIX.lower() in text.lower()
    has_no_value = binding.key is not None and binding.value is None
    if binding.error or hides_settings or has_no_value:
        reason = "it has no '='" if "=" not in text else "check its quotes and spaces"
        # The text is not shown, because it may contain the callback key.
        raise SettingsError(f"cannot parse {ENV_FILE} line {line}: {reason}; write lines like: MINWALLET_PORT=8000")


def _read_toml_file(known: Collection[str]) -> dict[str, Any]:
    try:
        values = tomllib.loads(_read_text(TOML_FILE))
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"invalid TOML in {TOML_FILE}: {error}; write lines like: port = 8000") from error
    for name in values:
        if name not in known:
            raise _unknown_setting(name, f"in {TOML_FILE}", {each: each for each in known})
    return values


def _read_text(file: str) -> str:
    """Return the text of a settings file, "" if there is none."""
    path = Path(file)
    try:
        data = path.read_bytes()
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not path.is_symlink():
            return ""
        raise SettingsError(
            f"cannot read the settings file '{file}': {error.strerror}; correct or remove it"
        ) from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"cannot read {file}: not UTF-8 text in line {line}; save it as UTF-8") from error


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
