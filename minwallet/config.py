"""The settings: one frozen object, and the only reader of the environment (`MINWALLET_…`), of `.env` and of
`minwallet.toml`, both in the folder where a command runs.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

Network = IPv4Network | IPv6Network

ENV_PREFIX = "MINWALLET_"

ENV_FILE, TOML_FILE = ".env", "minwallet.toml"

SECRET_SETTINGS = {"callback_key"}

SECONDS_PER_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}

MIN_BACKUP_INTERVAL_S = 10
"""How often the file may be copied at the most: each time all of it is read and written."""


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it and says what to set."""


class BindError(Exception):
    """The address that is set cannot be had; the message says why and what to do."""


class Settings(BaseSettings):
    """What can be set. Every field has a default that works on the own machine."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_file=ENV_FILE, toml_file=TOML_FILE, extra="ignore", frozen=True
    )

    db: Path = Field(Path("minwallet.db"), description="the wallet file")
    host: str = Field("127.0.0.1", description="the address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="the port to listen on; 0 picks a free one")
    callback_key: str = Field(
        "", pattern=r"^[A-Za-z0-9_-]{0,128}$", description="moves the provider endpoints below /KEY/"
    )
    callback_allow: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="who may call the provider endpoints: networks such as 203.0.113.0/24, separated by commas"
    )
    forwarded_allow: str = Field(
        "127.0.0.1",
        description="the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, separated by commas",
    )
    public_url: str = Field(
        "", description="the address under which the world reaches this server, such as https://wallet.example.com"
    )
    journal_days: int = Field(
        30, ge=0, le=36_500, description="how long the provider calls are kept word for word; 0 keeps none"
    )
    min_free_mb: int = Field(
        200,
        ge=0,
        le=1_000_000_000,
        description="how many MB the disk of the wallet file must have free for new bets to be taken; 0 asks for none",
    )

    backup_to: str = Field("", description="the folder that the server copies the wallet file to from time to time")
    backup_every: str = Field("1h", description="how often it does so: 15m, 1h, 7d")
    backup_keep: int = Field(48, ge=1, le=1_000_000, description="how many of these copies are kept, the newest")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What comes first has its way; nothing is read from files of secrets."""
        del file_secret_settings
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)

    @field_validator("callback_allow", mode="before")
    @classmethod
    def _parse_networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part) for part in _split_list(value))

    @field_validator("public_url")
    @classmethod
    def _validate_public_url(cls, url: str) -> str:
        """Without the slash at its end, so that paths can be put behind it."""
        try:
            parts = urlsplit(url)
            is_address = re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url) and parts.hostname and parts.port != 0
        except ValueError:
            is_address = False
        if url and not is_address:
            raise ValueError("it is an address such as https://wallet.example.com, without a query")
        return url.rstrip("/")

    @field_validator("backup_every")
    @classmethod
    def _validate_backup_interval(cls, text: str) -> str:
        if parse_duration(text) < MIN_BACKUP_INTERVAL_S:
            raise ValueError(f"{text} is too often; write {MIN_BACKUP_INTERVAL_S}s or more")
        return text

    @field_validator("db")
    @classmethod
    def _resolve_db_path(cls, path: Path) -> Path:
        if "\0" in str(path):
            raise ValueError("a path has no zero bytes")
        try:
            # One file has one side file and one lock, whatever it is called.
            return path.resolve() if path.is_symlink() else path
        except (OSError, RuntimeError):
            return path  # whoever opens it says what is wrong with it

    @model_validator(mode="after")
    def _validate_proxy_trust(self) -> Self:
        if self.callback_allow and self.trusts_any_proxy:
            raise ValueError(
                f"MINWALLET_FORWARDED_ALLOW={self.forwarded_allow} lets any caller choose the address that"
                " MINWALLET_CALLBACK_ALLOW checks; name the proxy's address instead"
            )
        return self

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def callback_prefix(self) -> str:
        """What the paths of the provider endpoints begin with."""
        return f"/{self.callback_key}" if self.callback_key else ""

    def list_settings(self) -> "list[Setting]":
        """All settings, in the order in which they are declared, as they were when they were loaded."""
        return [
            Setting(
                _variable_name(name),
                _format_value(name, getattr(self, name)),
                self._origins[name],
                field.description or "",
            )
            for name, field in Settings.model_fields.items()
        ]

    def browser_url(self, serves: str) -> str:
        """Where people reach the server that listens at `base_url`."""
        if self.public_url:
            return self.public_url
        return serves.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")

    @property
    def is_exposed(self) -> bool:
        """Whether others than this machine can reach the server, as far as the settings tell."""
        return not _is_loopback(self.host) or bool(self.public_url)

    @property
    def trusts_any_proxy(self) -> bool:
        """Whether any caller is taken for a proxy."""
        return any(map(_matches_any_address, _split_list(self.forwarded_allow)))

    def require_protection(self) -> None:
        """The protocols sign nothing, so listening to the world without any protection gives the money away."""
        has_allow_list = self.callback_allow and all(network.prefixlen for network in self.callback_allow)
        if self.callback_key or has_allow_list or _is_loopback(self.host):
            return
        raise SettingsError(
            f"listening on {self.host} would let anyone move money: set MINWALLET_CALLBACK_KEY to a long random word,"
            " or MINWALLET_CALLBACK_ALLOW to the provider's networks"
        )


class Setting(NamedTuple):
    """`value` is "" where there is none; that of a secret says only that it is there. `origin` is an option, the
    environment, a file, or `default`.
    """

    variable: str
    value: str
    origin: str
    description: str


def parse_duration(text: str) -> int:
    """A length of time such as 24h, in seconds. ValueError says how to write one."""
    match = re.fullmatch(r"([0-9]{1,10})([smhd])", text, re.ASCII)
    if match is None:
        raise ValueError(f"{text!r} is not a length of time; write it like 30s, 15m, 24h or 7d")
    return int(match[1]) * SECONDS_PER_UNIT[match[2]]


def load_settings(**overrides: object) -> Settings:
    """The settings that are in force, with those given here first. SettingsError, in one line."""
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return _build_settings(given, _find_origins(given))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{TOML_FILE} is not TOML: {error}; a line is such as: port = 8000") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"the file {_find_undecodable_file()} is not UTF-8 text; save it as UTF-8") from error
    except UnicodeEncodeError as error:
        raise SettingsError("a MINWALLET_ setting of the environment is not UTF-8 text; set it anew") from error
    except OSError as error:
        raise SettingsError(f"cannot read the settings in {error.filename}: {error.strerror}") from error


def _build_settings(given: Mapping[str, object], origins: Mapping[str, str]) -> Settings:
    try:
        settings = Settings(**given)  # type: ignore[arg-type]  # pydantic checks what mypy cannot
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else ""
        name = f"{_describe_origin(field, origins[field])}: " if field else ""
        words = "it is a whole number" if first["type"] == "int_parsing" else first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}{words}") from error
    settings._origins.update(origins)  # noqa: SLF001 what pydantic keeps beside fields looks so
    return settings


def _format_value(name: str, value: object) -> str:
    if name in SECRET_SETTINGS:
        return f"a secret of {len(str(value))} symbols" if value else ""
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _find_origins(given: Mapping[str, object]) -> dict[str, str]:
    """Where each setting comes from: the first of the sources that has it. SettingsError for a misspelt name in a file,
    which would otherwise leave something unprotected, in silence.
    """
    known = Settings.model_fields
    in_env_file = _setting_names(DotEnvSettingsSource(Settings).env_vars)
    for name in in_env_file:
        if name not in known:
            there = ", ".join(map(_variable_name, known))
            raise SettingsError(f"{ENV_FILE} has {_variable_name(name)}, which is no setting; there are {there}")
    in_toml = [*_read_toml()]
    for name in in_toml:
        if name not in known:
            raise SettingsError(f"{TOML_FILE} has {name}, which is no setting; there are {', '.join(known)}")
    in_environment = _setting_names(EnvSettingsSource(Settings).env_vars)
    origins = dict.fromkeys(known, "default")
    for origin, names in ((TOML_FILE, in_toml), (ENV_FILE, in_env_file), ("environment", in_environment)):
        origins |= dict.fromkeys(known.keys() & set(names), origin)
    return origins | {name: f"--{name}" for name in given}


def _setting_names(variables: Iterable[str]) -> list[str]:
    """The settings that these variables mean; those of other programs are left out."""
    lower = [variable.lower() for variable in variables]
    return [variable.removeprefix(ENV_PREFIX.lower()) for variable in lower if variable.startswith(ENV_PREFIX.lower())]


def _describe_origin(name: str, origin: str) -> str:
    """How a person finds the setting that cannot be used."""
    if origin == TOML_FILE:
        return f"{TOML_FILE}: {name}"
    return origin if origin.startswith("--") else _variable_name(name)


def _variable_name(name: str) -> str:
    return f"{ENV_PREFIX}{name.upper()}"


def _read_toml() -> dict[str, Any]:
    return TomlConfigSettingsSource(Settings).toml_data


def _find_undecodable_file() -> str:
    try:
        _read_toml()
    except UnicodeDecodeError:
        return TOML_FILE
    return ENV_FILE


def _split_list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _matches_any_address(proxy: str) -> bool:
    try:
        return ip_network(proxy, strict=False).prefixlen == 0
    except ValueError:
        return "*" in proxy


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
