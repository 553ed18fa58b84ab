"""Checks of the settings that protect the server. Not every protocol signs its calls, so these settings must."""

from collections.abc import Iterator, Sequence

from minwallet.config import Settings
from minwallet.doctor.diagnosis import Diagnosis, fail, ok, warn
from minwallet.setting_sources import SettingsError
from minwallet.storage.models import Agent

MIN_KEY_LENGTH = 16
"""The shortest callback key that counts as unguessable, in characters."""


def check_exposure(settings: Settings) -> Iterator[Diagnosis]:
    yield from [*_find_exposure_problems(settings)] or [ok("protection", _describe_protection(settings))]


def _find_exposure_problems(settings: Settings) -> Iterator[Diagnosis]:
    key, is_listed = settings.callback_key, bool(settings.callback_allow)
    try:
        settings.require_protection()
    except SettingsError as error:
        yield fail("protection", str(error))
    else:
        if settings.is_exposed and not (key or is_listed):
            yield warn(
                "protection",
                f"anyone who reaches {settings.public_url} can call the provider endpoints; set MINWALLET_CALLBACK_KEY"
                " to a long random word, or MINWALLET_CALLBACK_ALLOW to the provider's networks",
            )
    if key and len(key) < MIN_KEY_LENGTH:
        yield warn(
            "protection",
            f"MINWALLET_CALLBACK_KEY has only {len(key)} characters and can be guessed; set a longer one, such as the"
            " output of: openssl rand -hex 24",
        )
    if settings.trusts_any_proxy:
        yield warn(
            "protection",
            f"MINWALLET_FORWARDED_ALLOW={settings.forwarded_allow} trusts every caller as a proxy; set it to the"
            " proxy's address",
        )
    if settings.public_url.startswith("http:"):
        yield warn(
            "protection",
            f"{settings.public_url} is not encrypted, so passwords and tokens can be read in transit; use a proxy with"
            " TLS, and set MINWALLET_PUBLIC_URL to its https URL",
        )


def _describe_protection(settings: Settings) -> str:
    protections = [
        *(["a callback key"] if settings.callback_key else []),
        *(["an allow list"] if settings.callback_allow else []),
    ]
    return (
        f"provider endpoints behind {' and '.join(protections)}" if protections else "reachable from this machine only"
    )


def check_agent_tokens(settings: Settings, agents: Sequence[Agent]) -> Iterator[Diagnosis]:
    """Yield a warning for each agent with the default wallet token, if other machines can reach the wallet."""
    for agent in agents:
        if settings.is_exposed and agent.wallet_token == "default":  # noqa: S105 a default that everyone knows
            yield warn(
                "protection",
                f"agent {agent.name} has the default wallet token, which anyone can guess; change it with: minwallet"
                f" agent set {agent.name} --wallet-token …",
            )
