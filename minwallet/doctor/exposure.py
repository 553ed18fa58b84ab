"""What the settings do against strangers. Neither protocol signs anything, so this is all there is."""

from collections.abc import Iterator, Sequence

from minwallet.config import Settings, SettingsError
from minwallet.doctor.finding import Finding, fail, ok, warn
from minwallet.storage.models import Agent

MIN_KEY_LENGTH = 16
"""So many symbols nobody guesses."""


def check_exposure(settings: Settings) -> Iterator[Finding]:
    yield from [*_find_exposure_problems(settings)] or [ok("protection", _describe_protection(settings))]


def _find_exposure_problems(settings: Settings) -> Iterator[Finding]:
    key, is_listed = settings.callback_key, bool(settings.callback_allow)
    try:
        settings.require_protection()
    except SettingsError as error:
        yield fail("protection", str(error))
    else:
        if settings.is_exposed and not (key or is_listed):
            yield warn(
                "protection",
                f"whoever reaches {settings.public_url} can call the provider endpoints: set MINWALLET_CALLBACK_KEY to"
                " a long random word, or MINWALLET_CALLBACK_ALLOW to the provider's networks",
            )
    if key and len(key) < MIN_KEY_LENGTH:
        yield warn(
            "protection",
            f"MINWALLET_CALLBACK_KEY has {len(key)} symbols and can be guessed; take a longer: openssl rand -hex 24",
        )
    if settings.trusts_any_proxy:
        yield warn(
            "protection",
            f"MINWALLET_FORWARDED_ALLOW={settings.forwarded_allow} believes any caller to be a proxy; name the proxy's"
            " address",
        )
    if settings.public_url.startswith("http:"):
        yield warn(
            "protection",
            f"{settings.public_url} is not encrypted, and passwords and tokens can be read on their way; put a proxy"
            " with TLS in front, and set MINWALLET_PUBLIC_URL to its https address",
        )


def _describe_protection(settings: Settings) -> str:
    protections = [
        *(["a key"] if settings.callback_key else []),
        *(["an allow list"] if settings.callback_allow else []),
    ]
    return f"provider endpoints behind {' and '.join(protections)}" if protections else "for this machine only"


def check_agent_tokens(settings: Settings, agents: Sequence[Agent]) -> Iterator[Finding]:
    """Where others can reach the wallet, no agent should be found at the address that every wallet begins with."""
    for agent in agents:
        if settings.is_exposed and agent.wallet_token == "default":  # noqa: S105 it is nobody's secret, which is the point
            yield warn(
                "protection",
                f"agent {agent.name} has the wallet token of every new file, default; choose another with: minwallet"
                f" agent set {agent.name} --wallet-token …",
            )
