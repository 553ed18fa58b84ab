"""The settings: one frozen object.

They come from the environment (`MINWALLET_…`) and the files `.env` and `minwallet.toml`, which only `setting_sources`
reads. Both files are in the wallet file's folder. The sources in order of precedence: command options, environment,
`.env`, `minwallet.toml`, defaults.
"""

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from minwallet.setting_sources import (
    TOML_FILE,
    SettingsError,
    SettingSources,
    read_sources,
    resolve_link,
    variable_name,
)

Network = IPv4Network | IPv6Network

SECRET_SETTINGS = {"callback_key"}

HIDDEN_TEXT = "a secret of {} characters"
"""The text that stands for a secret in a list of settings."""

SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}

MIN_BACKUP_INTERVAL_S = 10
"""The shortest interval of backups. Each backup reads and writes the whole file."""


class BindError(Exception):
    """A failure to listen on the configured address. The message says why and what to do."""


class Settings(BaseModel):
    """All settings. Every field has a default that works on a local machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    db: Path = Field(Path("minwallet.db"), description="the wallet file")
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="the port to listen on; 0 picks a free one")
    callback_key: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,128}$", description="a secret word; the provider endpoints move below /KEY/"
    )
    require_wallet_token: bool = Field(
        False,
        description="true closes /wallet without a wallet token, except below an agent's callback key",
    )
    callback_allow: tuple[Network, ...] = Field(
        (),
        description="the networks that may call the provider endpoints, such as 203.0.113.0/24, separated by commas;"
        " empty allows all",
    )
    forwarded_allow: str = Field(
        "127.0.0.1",
        description="the proxies whose X-Forwarded-For and X-Forwarded-Proto headers are trusted, separated by commas",
    )
    public_url: str = Field(
        "", description="the public URL of this server behind a proxy, such as https://wallet.example.com"
    )
    hosts: tuple[str, ...] = Field(
        (),
        description="more host names under which browsers may open this server, such as wallet.lan, separated by"
        " commas; always allowed are loopback, IP addresses, and the names in MINWALLET_HOST and MINWALLET_PUBLIC_URL",
    )
    journal_days: int = Field(
        30, ge=0, le=36_500, description="the number of days to keep the text of provider calls; 0 keeps none"
    )
    settle_hours: int = Field(
        24,
        ge=0,
        le=876_000,
        description="the number of hours after a session's end in which a win without a bet is still paid; 0 pays none",
    )
    min_free_mb: int = Field(
        200,
        ge=0,
        le=1_000_000_000,
        description="the free disk space in MB below which new bets get 503; 0 turns the check off",
    )

    backup_to: str = Field("", description="the folder for automatic backups; empty turns them off")
    backup_every: str = Field(
        "1h", description=f"the interval of automatic backups: 15m, 1h, 7d; at least {MIN_BACKUP_INTERVAL_S}s"
    )
    backup_keep: int = Field(48, ge=1, le=1_000_000, description="the number of automatic backups to keep")

    protocols: tuple[str, ...] = Field(
        (),
        description="the protocols whose calls the server answers, separated by commas; empty answers all that are"
        " installed",
    )
    plugins: str = Field(
        "", description="the folder with protocol packages; by default minwallet.d beside the one file, if it exists"
    )

    @field_validator("callback_allow", mode="before")
    @classmethod
    def _parse_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(map(_parse_network, _split_list(value)))

    @field_validator("hosts", "protocols", mode="before")
    @classmethod
    def _split_names(cls, value: object) -> object:
        return _split_list(value) if isinstance(value, str) else value

    @field_validator("hosts")
    @classmethod
    def _normalize_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(_normalize_host_name, hosts))

    @field_validator("public_url")
    @classmethod
    def _validate_public_url(cls, url: str) -> str:
        """Return the URL without a trailing slash, so that paths can be appended. Raise ValueError if it is invalid."""
        try:
            parts = urlsplit(url)
            is_address = re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url) and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if url and not is_address:
            raise ValueError(f"invalid URL {url!r}: must be like https://wallet.example.com, without a query")
        return url.rstrip("/")

    @field_validator("backup_every")
    @classmethod
    def _validate_backup_interval(cls, text: str) -> str:
        if parse_duration(text) < MIN_BACKUP_INTERVAL_S:
            raise ValueError(f"invalid interval {text!r}: must be {MIN_BACKUP_INTERVAL_S}s or more")
        return text

    @field_validator("db")
    @classmethod
    def _resolve_db_path(cls, path: Path) -> Path:
        if "\0" in str(path):
            raise ValueError("invalid path: must not contain a zero byte")
        _refuse_home_folder(str(path))
        if str(path).startswith(("postgres:", "postgresql:")):
            # The address is not shown, because it may contain a password.
            raise ValueError("a wallet on PostgreSQL is not supported yet; name a SQLite file")
        # The lock file is beside the wallet file. Two names of one file must not have two locks.
        return resolve_link(path)

    @field_validator("backup_to", "plugins")
    @classmethod
    def _resolve_folder(cls, folder: str) -> str:
        """Return the absolute path, which means the same to a server and to `doctor` in another folder."""
        _refuse_home_folder(folder)
        try:
            return str(Path(folder).absolute()) if folder else ""
        except OSError:
            return folder  # the current folder is deleted; using the folder fails later

    @model_validator(mode="after")
    def _validate_proxy_trust(self) -> Self:
        # A trusted proxy names the caller's address. If every caller is trusted, the allow list is without effect.
        if self.callback_allow and self.trusts_any_proxy:
            raise ValueError(
                f"MINWALLET_FORWARDED_ALLOW={self.forwarded_allow} lets any caller choose the address that"
                " MINWALLET_CALLBACK_ALLOW checks; set it to the proxy's address"
            )
        return self

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)
    _found: SettingSources = PrivateAttr(SettingSources((), ()))

    @property
    def notices(self) -> Sequence[str]:
        """Return what a user should know about the files of these settings, one line each."""
        return self._found.notices

    @property
    def files(self) -> list[Path]:
        """Return the settings files that were read."""
        return [source.file for source in self._found.sources if source.file and source.is_readable]

    def with_address(self, origin: str, **address: object) -> "Settings":
        """Return these settings with the host or port on which a server listens, and the origin of this address."""
        changed = self.model_copy(update=address)
        changed._origins = changed._origins | dict.fromkeys(address, origin)  # noqa: SLF001 it is a copy of this object
        return changed

    @property
    def callback_prefix(self) -> str:
        """Return the prefix of the provider endpoints' paths, or "" without a callback key."""
        return f"/{self.callback_key}" if self.callback_key else ""

    def list_settings(self) -> "list[Setting]":
        """Return all settings with their sources, in order of declaration."""
        return [
            Setting(
                variable_name(name),
                _format_value(name, getattr(self, name)),
                self._origins[name],
                field.description or "",
            )
            for name, field in Settings.model_fields.items()
        ]

    def browser_url(self, serves: str) -> str:
        """Return the URL for browsers of the server that listens at `serves`: the public URL if one is set."""
        if self.public_url:
            return self.public_url
        return serves.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

    @property
    def browser_hosts(self) -> frozenset[str]:
        """Return the host names under which browsers may open this server, in lower case."""
        return frozenset({*self.hosts, self.host.lower(), urlsplit(self.public_url).hostname or ""} - {""})

    @property
    def is_exposed(self) -> bool:
        """Return True if the settings let other machines reach the server."""
        return not is_loopback(self.host) or bool(self.public_url)

    @property
    def trusts_any_proxy(self) -> bool:
        """Return True if every caller is trusted as a proxy."""
        return any(map(_matches_any_address, _split_list(self.forwarded_allow)))

    def require_readable_files(self) -> None:
        """Raise SettingsError if a settings file is one that this user may not read: it could set the callback key."""
        for source in self._found.sources:
            if not source.is_readable:
                raise SettingsError(
                    f"cannot read the settings file '{source.origin}': permission denied, and it could contain the"
                    " callback key; run the server as its owner, or correct its permissions"
                )

    def require_protection(self) -> None:
        """Raise SettingsError if the server would listen on a public address without protection.

        Not every protocol signs its requests. Without a callback key or an allow list, any caller with a token could
        move money. See also `require_readable_files`.
        """
        self.require_readable_files()
        has_allow_list = self.callback_allow and all(network.prefixlen for network in self.callback_allow)
        if self.callback_key or has_allow_list or is_loopback(self.host):
            return
        raise SettingsError(
            f"refusing to listen on {self.host} without protection, because anyone could move money; set"
            " MINWALLET_CALLBACK_KEY to a long random word, or MINWALLET_CALLBACK_ALLOW to the provider's networks"
        )


class Setting(NamedTuple):
    """A setting in force. `value` is "" if there is none, and only a length for a secret. `origin` is an option,
    `environment`, a file, or `default`.
    """

    variable: str
    value: str
    origin: str
    description: str


def _refuse_home_folder(path: str) -> None:
    """Raise ValueError for a path that begins with `~`, which only a shell replaces: it would name a folder `~`."""
    if re.match("~([^/]*/|$)", path):
        raise ValueError(f"invalid path {path!r}: ~ is not replaced here; write the whole path")


def parse_duration(text: str) -> int:
    """Parse a duration such as 24h. Return it in seconds. Raise ValueError if it is invalid."""
    match = re.fullmatch(r"([0-9]{1,10})([smhd])", text, re.ASCII)
    if match is None:
        raise ValueError(f"invalid duration {text!r}: write 30s, 15m, 24h or 7d")
    return int(match[1]) * SECONDS_PER_UNIT[match[2]]


def load_settings(**overrides: object) -> Settings:
    """Return the settings in force. `overrides` take precedence, unless they are None.

    Raise SettingsError, with a message of one line, if a setting is invalid.
    """
    known = Settings.model_fields
    origins = dict.fromkeys(known, "default")
    values: dict[str, object] = {}
    given = {name: value for name, value in overrides.items() if value is not None}
    found = read_sources(known, given.get("db"), known["db"].default)
    for source in reversed(found.sources):
        values |= source.values
        origins |= dict.fromkeys(source.values, source.origin)
    settings = _build_settings(values | given, origins | {name: f"--{name}" for name in given})
    settings._found = found  # noqa: SLF001 pydantic requires the underscore for an attribute beside fields
    return settings


def restore_settings(listed: "Sequence[Setting]") -> Settings:
    """Return the settings that `list_settings` of another process returned, each secret with its length only.

    Raise SettingsError if the list is of another version.
    """
    names = {variable_name(name): name for name in Settings.model_fields}
    if {each.variable for each in listed} != set(names):
        raise SettingsError("it has other settings; restart it after an update")
    values = {names[each.variable]: each.value for each in listed}
    for name in SECRET_SETTINGS:
        if length := re.fullmatch(HIDDEN_TEXT.format("([0-9]+)"), values[name]):
            values[name] = "x" * int(length[1])
    return _build_settings(values, {names[each.variable]: each.origin for each in listed})


def _build_settings(values: Mapping[str, object], origins: Mapping[str, str]) -> Settings:
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = f"{_describe_origin(field, origins[field])}: " if field else ""
        raise SettingsError(f"{name}{_describe_problem(field, first)}") from error
    settings._origins.update(origins)  # noqa: SLF001 pydantic requires the underscore for an attribute beside fields
    return settings


def _describe_problem(field: str, problem: ErrorDetails) -> str:
    """Return what is wrong with a setting and what was expected. Never echo a secret."""
    value = "the value" if field in SECRET_SETTINGS else f"{str(problem['input'])!r:.60}"
    limits = problem.get("ctx", {})
    match problem["type"]:
        case "int_parsing" | "int_from_float" | "int_type":
            return f"invalid number {value}: must be an integer"
        case "bool_parsing" | "bool_type":
            return f"invalid value {value}: must be true or false"
        case "greater_than_equal":
            return f"invalid number {value}: must be at least {limits['ge']}"
        case "less_than_equal":
            return f"invalid number {value}: must be at most {limits['le']}"
        case "string_pattern_mismatch":
            return f"{value} is invalid: use up to 128 letters, digits, _ and -"
        case _:
            return problem["msg"].removeprefix("Value error, ")


def _parse_network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"invalid network {text!r}: {error}; write it like 203.0.113.0/24") from error


def _normalize_host_name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", text, re.ASCII):
        raise ValueError(f"invalid host name {text!r:.60}: write it like wallet.lan, without scheme and port")
    return text.lower()


def _format_value(name: str, value: object) -> str:
    if name in SECRET_SETTINGS:
        return HIDDEN_TEXT.format(len(str(value))) if value else ""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _describe_origin(name: str, origin: str) -> str:
    """Return the setting's name as it is written in its source."""
    if origin.endswith(TOML_FILE):
        return f"{origin}: {name}"
    return origin if origin.startswith("--") else variable_name(name)


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _matches_any_address(proxy: str) -> bool:
    try:
        return ip_network(proxy, strict=False).prefixlen == 0
    except ValueError:
        return "*" in proxy


def is_loopback(host: str) -> bool:
    """Return whether the address or host name always means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
