"""The systemd units of this machine that serve a wallet file, and the user of each."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from minwallet.storage.database_files import user_name

UNIT_FOLDERS = "/etc/systemd/system:/run/systemd/system:/usr/local/lib/systemd/system:/usr/lib/systemd/system"
"""The folders of system units, first the ones that take precedence. SYSTEMD_UNIT_PATH replaces them, as for systemd."""


class ServiceUnit(NamedTuple):
    """A unit file, and the name or number of the user that its service runs as."""

    file: Path
    user: str


def find_units(db: Path) -> Iterator[ServiceUnit]:
    """Yield the units whose command serves this wallet file. Skip a unit that cannot be read."""
    folders = [Path(each) for each in os.environ.get("SYSTEMD_UNIT_PATH", UNIT_FOLDERS).split(":") if each]
    files: dict[str, Path] = {}
    for folder in folders:
        for file in sorted(folder.glob("*.service")):
            files.setdefault(file.name, file)
    for name, file in files.items():
        drop_ins = [part for folder in folders for part in sorted(folder.glob(f"{glob.escape(name)}.d/*.conf"))]
        text = "\n".join(map(_read_text, (file, *drop_ins)))
        if _serves(text, db.absolute()):
            user = _read_value(text, "User") or "root"
            yield ServiceUnit(file, user_name(int(user)) if user.isdecimal() else user)


def _serves(unit: str, db: Path) -> bool:
    """Return True if the unit's command names this file, or runs in its folder and names none."""
    command = _read_value(unit, "ExecStart")
    if "minwallet" not in command or "serve" not in command:
        return False
    if "--db" in command:
        return re.search(rf"(?:^|[\s=\"']){re.escape(_quote_path(db))}(?:$|[\s\"'])", command) is not None
    return db == Path(_read_value(unit, "WorkingDirectory").replace("%%", "%")) / "minwallet.db"


def _quote_path(path: Path) -> str:
    """Return the path as `minwallet systemd` writes it into a command."""
    return str(path).replace("%", "%%").replace("\\", "\\\\").replace('"', '\\"')


def _read_text(file: Path) -> str:
    try:
        return file.read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _read_value(unit: str, name: str) -> str:
    """Return the last value of this setting, or "" if there is none."""
    values: list[str] = re.findall(rf"^{name}=(.*)$", unit, re.MULTILINE)
    return values[-1].strip() if values else ""
