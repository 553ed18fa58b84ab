"""The samples for Prometheus and Grafana and their page, compared with the metrics of a real server."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from minwallet.config import load_settings
from minwallet.wallet.service import Wallet
from minwallet.web.health import build_health_report
from tests.storage.reference_engine.memory_store import MemoryStore
from tests.support import ROOT, TIMEOUT_S, InProcessCli, Server, require_programs, running_server
from tests.web.scraper import Scrape, Scraper

pytestmark = pytest.mark.long

SAMPLES = ROOT / "sample_data"
MONITOR_PAGE = (ROOT / "docs/monitor.md").read_text("utf-8")
ALERTS = (SAMPLES / "alerts.yml").read_text("utf-8")

METRIC_NAME = re.compile(r"\b(?:minwallet|process)_[a-z_]+")
METRIC_ROW = re.compile(r"^\| `(minwallet_\w+)` \| (\w+) \| ([\w, ]*)\| ", re.MULTILINE)
METRIC_TYPE = re.compile(r"^# TYPE (minwallet_\w+) (\w+)$", re.MULTILINE)


PROC_OPTIONS = {"ProtectProc=invisible": "hidepid=invisible", "ProcSubset=pid": "subset=pid"}
"""The options of a mount of /proc that have the effect of these lines of a unit."""


@pytest.fixture(scope="module")
def unit_wrapper(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return a command that starts a program with the view of /proc that the shipped unit allows, or none."""
    unit = InProcessCli(tmp_path_factory.mktemp("unit") / "wallet.db").run("systemd").out
    lines = [line for line in unit.splitlines() if line.startswith(("ProtectProc=", "ProcSubset="))]
    options = ",".join(PROC_OPTIONS[line] for line in lines) or "defaults"
    wrapper = ["unshare", "--mount", "sh", "-c", f'mount -t proc -o {options} proc /proc && exec "$@"', "sh"]
    try:
        is_possible = subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        is_possible = False
    return wrapper if is_possible else []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, unit_wrapper: list[str]) -> Iterator[Server]:
    """Yield a server that runs as under the shipped unit. Its backups fail, because nothing can write in /proc."""
    db = tmp_path_factory.mktemp("monitoring") / "wallet.db"
    with running_server(db, wrapper=unit_wrapper, MINWALLET_BACKUP_TO="/proc") as server:
        yield server


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


def test_the_process_metrics_exist_under_the_restrictions_of_the_unit(scrape: Scrape, unit_wrapper: list[str]) -> None:
    """Alerts and dashboard need them, and a unit hides most of /proc."""
    if not unit_wrapper:
        pytest.skip("mounting /proc needs root and unshare: apt install util-linux")
    process = {name: value for (name, _), value in scrape.samples.items() if name.startswith("process_")}
    assert abs(time.time() - process["process_start_time_seconds"]) < 3600
    assert process["process_virtual_memory_bytes"] > process["process_resident_memory_bytes"] > 10e6
    assert process["process_max_fds"] > process["process_open_fds"] > 3
    assert process["process_cpu_seconds_total"] > 0


def test_failing_backups_are_reported(server: Server) -> None:
    """`/readyz` gives the reason and stays 200: the money is safe. The age in the metrics grows, and `doctor` warns."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (ready := server.http.get("/readyz").json())["reasons"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    reason = "automatic backups fail: there is none yet; the server's log has the cause"
    assert server.http.get("/readyz").status_code == 200
    assert (ready["ready"], ready["reasons"]) == (True, [reason])
    assert "the backup failed: " in server.read_log()
    doctor = server.cli.run("doctor", "--json").json["findings"]
    assert any(each["level"] == "warn" and reason in each["words"] for each in doctor)


def test_the_age_of_the_newest_backup_is_a_metric(scrape: Scrape, tmp_path: Path) -> None:
    """It is unknown without automatic backups, so that no alert fires."""
    assert scrape("ready") == 1
    assert scrape("backup_age_seconds") >= 0
    assert scrape("backup_interval_seconds") == 3600
    wallet, settings = Wallet(MemoryStore()), load_settings(db=tmp_path / "wallet.db")
    report = build_health_report(wallet, settings, "3", 0)
    assert (report.backup_age_s, report.backup_interval_s) == (None, None)


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
