"""The check that each protocol with signed calls has a secret."""

from collections.abc import Collection, Iterator

from minwallet.doctor.diagnosis import Diagnosis, warn
from minwallet.protocols.registry import list_installed


def check_protocol_secrets(protocols: Collection[str]) -> Iterator[Diagnosis]:
    """Yield a warning for each installed protocol with signed calls that is not one of `protocols`.

    `protocols` are those for which an agent has a secret that is not revoked.
    """
    for package, protocol in list_installed():
        if protocol.signature and package.protocol not in protocols:
            yield warn(
                "protocols",
                f"no agent has a secret for {package.protocol}, so its calls are refused; add one with: minwallet agent"
                f" secret add default {package.protocol}",
            )
