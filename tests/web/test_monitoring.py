"""The samples for Prometheus and Grafana and their page, compared with the metrics of a real server."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import ROOT, Server, require_programs
from tests.web.scraper import Scrape, Scraper

pytestmark = pytest.mark.long

SAMPLES = ROOT / "sample_data"
MONITOR_PAGE = (ROOT / "docs/monitor.md").read_text("utf-8")
ALERTS = (SAMPLES / "alerts.yml").read_text("utf-8")

METRIC_NAME = re.compile(r"\b(?:minwallet|process)_[a-z_]+")
METRIC_ROW = re.compile(r"^\| `(minwallet_\w+)` \| (\w+) \| ([\w, ]*)\| ", re.MULTILINE)
METRIC_TYPE = re.compile(r"^# TYPE (minwallet_\w+) (\w+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def scrape(server: Server) -> Scrape:
    """Return the metrics of a server that has served calls."""
    server.wallet_v2(code=server.cli.open_session(server.cli.add_player()), type="bet", bet=1, id=1, game=1)
    return Scraper(server).scrape()


@pytest.fixture
def promtool() -> str:
    """Return the path of promtool."""
    require_programs("PROMTOOL_REQUIRED", "prometheus", "promtool")
    return "promtool"


def test_the_dashboard_shows_every_metric(scrape: Scrape) -> None:
    """Each panel uses existing metrics, and each metric of minwallet is in a panel."""
    board = json.loads((SAMPLES / "grafana.json").read_text("utf-8"))
    asked = [METRIC_NAME.findall(target["expr"]) for panel in board["panels"] for target in panel["targets"]]
    assert all(asked)
    names = {name for each in asked for name in each}
    assert names - scrape.names == set()
    shown = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}
    assert {name for name, _ in METRIC_TYPE.findall(scrape.text)} - shown == set()
    assert all(panel["title"] and panel["description"] for panel in board["panels"])


def test_the_alerts_use_existing_metrics(scrape: Scrape) -> None:
    """Each alert uses existing metrics and has a remedy, and the page lists all alerts."""
    assert set(METRIC_NAME.findall(ALERTS)) - scrape.names == set()
    alerts = re.findall(r"- alert: (\w+)", ALERTS)
    assert len(alerts) == ALERTS.count("summary: ") == ALERTS.count("expr: ")
    assert re.findall(r"^\| `(Minwallet\w+)` \|", MONITOR_PAGE, re.MULTILINE) == alerts


def test_the_page_has_each_metric(scrape: Scrape) -> None:
    """The page lists the type and the labels of each metric."""
    rows = {
        name: (kind, {part for part in labels.strip().split(", ") if part})
        for name, kind, labels in METRIC_ROW.findall(MONITOR_PAGE)
    }
    assert {name: kind for name, (kind, _) in rows.items()} == dict(METRIC_TYPE.findall(scrape.text))
    for name, labels in scrape.samples:
        own = re.sub(r"_(bucket|sum|count)$", "", name)
        if own.startswith("minwallet_"):
            assert {label for label, _ in labels} - {"le"} == rows[own][1], name


def test_promtool_accepts_the_metrics(scrape: Scrape, promtool: str) -> None:
    """promtool finds no problem in the text, names and help included."""
    found = subprocess.run(
        [promtool, "check", "metrics"], input=scrape.text, capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")


def test_promtool_accepts_the_configuration(promtool: str, tmp_path: Path) -> None:
    """The configuration needs the alerts and a key beside it, as the page says."""
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(SAMPLES / name, tmp_path)
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    (tmp_path / "minwallet.key").write_text("key\n")
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found
    assert f"{ALERTS.count('- alert:')} rules found" in found.stdout


def test_alerts_fire_when_they_should(promtool: str) -> None:
    """No alert fires for a healthy server, and each fires for its problem."""
    rules = Path(__file__).with_name("alerts.yml")
    found = subprocess.run([promtool, "test", "rules", str(rules)], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    fired = set(re.findall(r'alertname="(\w+)"', rules.read_text("utf-8")))
    assert fired == set(re.findall(r"- alert: (\w+)", ALERTS))
