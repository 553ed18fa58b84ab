"""`minwallet sample`: example files that are part of the program."""

from pathlib import Path
from typing import Annotated

import typer

from minwallet.cli.options import JsonOption
from minwallet.cli.output import UsageError, print_json, print_line, print_table

SAMPLES = {
    "players.csv": "players with balances and session tokens, for minwallet seed",
    "nginx.conf": "nginx as a TLS proxy in front of the server",
    "Caddyfile": "Caddy as a TLS proxy in front of the server",
    "prometheus.yml": "Prometheus configuration that scrapes the server",
    "alerts.yml": "alerting rules for Prometheus",
    "grafana.json": "a dashboard for Grafana",
}
"""The purpose of each file. Not all file formats allow a comment that states it."""

PACKAGE_DIR = Path(__file__).parents[1]


def sample(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The file to print.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Print an example file, or list the example files.

    The files are players for a test, and configurations of proxies and monitoring tools.

    Example: minwallet sample nginx.conf
    """
    if name is None:
        if as_json:
            print_json({"samples": [{"name": each, "about": about} for each, about in SAMPLES.items()]})
        else:
            print_table(["file", "purpose"], SAMPLES.items(), "")
        return
    if name not in SAMPLES:
        raise UsageError(f"unknown sample {name!r}; use one of {', '.join(SAMPLES)}")
    text = (find_sample_dir() / name).read_text("utf-8")
    print_json({"name": name, "text": text}) if as_json else print_line(text.removesuffix("\n"))


def find_sample_dir() -> Path:
    """Return the folder of the example files: inside an installed package, beside the package in a clone."""
    return next(place for place in (PACKAGE_DIR / "sample_data", PACKAGE_DIR.parent / "sample_data") if place.is_dir())
