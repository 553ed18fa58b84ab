"""`minwallet doctor` on the secrets of protocols with signed calls."""

from pathlib import Path

import pytest

from minwallet.doctor import filesystem
from tests.protocol_package import add_secret, installed, write_protocol_package
from tests.support import InProcessCli


def run_doctor(cli: InProcessCli, packages: Path) -> list[str]:
    """Return the lines of `doctor` with the packages in the folder."""
    with installed(packages):
        return cli.run("doctor", "--timeout", "1s").out.splitlines()


def test_a_signing_protocol_without_a_secret_is_a_warning(
    cli: InProcessCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A secret of any agent is enough. A revoked one does not count, and no line has the secret itself."""
    monkeypatch.setattr(filesystem, "SYNC_PROBE_S", 0.0)
    cli("agent", "add", "brand2")
    packages = write_protocol_package(tmp_path / "packages")
    advice = "add one with: minwallet agent secret add default signed"
    (line,) = (line for line in run_doctor(cli, packages) if "no agent has a secret for signed" in line)
    assert line.startswith("warn")
    assert advice in line
    fingerprint = add_secret(cli, packages, "a-secret-of-brand2", "brand2")
    found = "\n".join(run_doctor(cli, packages))
    assert advice not in found
    assert f"live protocol secrets: signed {fingerprint} of agent brand2; revoke" in found
    assert "a-secret-of-brand2" not in found
    cli("agent", "secret", "revoke", "brand2", "signed", fingerprint)
    assert advice in "\n".join(run_doctor(cli, packages))
    assert advice not in "\n".join(run_doctor(cli, tmp_path))
