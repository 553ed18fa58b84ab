"""`minwallet sample`: files to begin with, which come with the program."""

from pathlib import Path
from typing import Annotated

import typer

from minwallet.cli.output import JsonOption, UsageError, print_json, print_line, print_table

SAMPLES = {
    "players.csv": "players with money and session tokens, for minwallet seed",
    "nginx.conf": "nginx in front of a server, with TLS",
    "Caddyfile": "Caddy in front of a server, with TLS",
    "prometheus.yml": "what tells Prometheus to ask a server how it is",
    "alerts.yml": "when Prometheus raises an alert",
    "grafana.json": "a dashboard for Grafana",
}
"""What each file is. Not all of them have a place to say it themselves."""

PACKAGE_DIR = Path(__file__).parents[1]


def sample(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The file to print.", show_default=False)] = None,
    as_json: JsonOption = False,
) -> None:
    """Print a file to begin with. Players, or what stands around a server; without a name, list what there is."""
    if name is None:
        if as_json:
            print_json({"samples": [{"name": each, "about": about} for each, about in SAMPLES.items()]})
        else:
            print_table(["file", "what it is"], SAMPLES.items(), "")
        return
    if name not in SAMPLES:
        raise UsageError(f"there is no sample {name!r}; choose {', '.join(SAMPLES)}")
    text = (find_sample_dir() / name).read_text("utf-8")
    print_json({"name": name, "text": text}) if as_json else print_line(text.removesuffix("\n"))


def find_sample_dir() -> Path:
    """In the package, or beside it in a clone."""
    return next(place for place in (PACKAGE_DIR / "sample_data", PACKAGE_DIR.parent / "sample_data") if place.is_dir())
