"""A real scrape and Prometheus' own tools judge the alerts and the dashboard."""

import json
import re
import shutil
import socket
import subprocess
from datetime import date

import pytest
import requests
import yaml

from state.store import Store
from support.daemon import DEPLOY, Daemon, metric_names, watched
from support.waiting import wait_until

ALERTS = DEPLOY / "prometheus" / "alerts.yml"
DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
DOCUMENT = DEPLOY.parent / "docs" / "watching.md"

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
needs_prometheus = pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed"
)


def promtool(*arguments: str, input: str | None = None) -> None:
    """Run promtool. The test fails on whatever it complains about."""
    ended = subprocess.run(
        ["promtool", *arguments], input=input, capture_output=True, text=True, cwd=ALERTS.parent
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == "" or "FAILED" not in ended.stderr


def panels():
    """Return the dashboard's panels, without its rows."""
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> dict[str, str]:
    """Return every query of the dashboard with its variables filled in, by where the query stands."""
    queries = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }
    queries["restarts"] = DASHBOARD["annotations"]["list"][1]["expr"]
    return {
        where: expr.replace("$__rate_interval", "1m").replace("$job", ".+").replace("$instance", ".+")
        for where, expr in queries.items()
    }


def alert_expressions() -> list[str]:
    """Return the expression of every alert."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.fixture
def scrape(installation, opened, down):
    """
    Return the scrape of a daemon that has delivered one event and keeps another, so that every metric has a
    value.
    """
    opened()
    assert installation.run("once").returncode == 0
    with Store(installation.state_path) as store:
        store.audits.finish(date(2026, 11, 20), 1, None)
    opened(0)
    installation.sandbox.faults.add("segment", "*", down)
    with Daemon(watched(installation, SYNC__EVERY="1h")) as daemon:
        daemon.wait_for("cycle.finished")
        return wait_until(lambda: (s := daemon.scrape())("next_cycle_timestamp_seconds") and s)


@needs_promtool
def test_the_alerts_are_valid():
    """`promtool check rules` accepts them."""
    promtool("check", "rules", ALERTS.name)


@needs_promtool
def test_the_alerts_fire_when_they_should_and_not_before():
    """`promtool test rules` tests each alert at the edge of its condition. None fires when all is well."""
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tested():
    """Each alert fires in at least one of promtool's tests."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    named = {rule["alert"] for group in groups for rule in group["rules"]}
    tests = yaml.safe_load(ALERTS.with_name("alerts_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", [])]
    for expected in (True, False):
        assert {case["alertname"] for case in cases if bool(case["exp_alerts"]) is expected} == named


@needs_promtool
def test_a_scrape_follows_the_conventions(scrape):
    """`promtool check metrics` accepts the names, the units and the HELP texts."""
    promtool("check", "metrics", input=scrape.text)


@needs_promtool
def test_every_query_of_the_dashboard_is_promql(tmp_path):
    """promtool parses the queries as recording rules."""
    rules = [{"record": f"panel{n}", "expr": expr} for n, expr in enumerate(expressions().values())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(file))


def test_what_is_queried_is_shown(scrape):
    """
    The program exports every metric that an alert or a panel needs, and every exported metric is documented.
    """
    queried = set().union(*map(metric_names, [*expressions().values(), *alert_expressions()]))
    assert len(queried) >= 12
    assert queried - scrape.names == set()
    shown = {name for name in scrape.names if not name.startswith("process_")}
    shown = {re.sub("_latency_seconds_(bucket|sum|count)$", "_latency_seconds", name) for name in shown}
    documented = set(re.findall(r"^\| `(gladly_segment_\w+)", DOCUMENT.read_text(), re.MULTILINE))
    assert documented == shown


def test_the_dashboard_has_its_data_source_chosen_by_who_imports_it():
    """A template variable names the data source everywhere. Ids are unique, and no panels overlap."""
    assert (
        DASHBOARD["templating"]["list"][0] | {"type": "datasource", "query": "prometheus"}
        == (DASHBOARD["templating"]["list"][0])
    )
    sources = [target["datasource"] for panel in panels() for target in panel["targets"]]
    sources += [panel["datasource"] for panel in panels()]
    assert {source["uid"] for source in sources} == {"${datasource}"}
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == 23
    assert all(panel["description"].endswith(".") for panel in panels())


@pytest.mark.long
@needs_prometheus
def test_every_panel_shows_something_in_a_real_prometheus(installation, opened, tmp_path):
    """A Prometheus with the alerts loaded scrapes a working daemon for a few seconds."""
    opened()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Daemon(watched(installation, SYNC__EVERY="0.5s")) as daemon:
        target = daemon.wait_for("metrics.shown")["url"].split("/")[2]
        shutil.copy(ALERTS, tmp_path)
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [ALERTS.name],
            "scrape_configs": [
                {"job_name": "gladly-segment-sync", "static_configs": [{"targets": [target]}]}
            ],
        }
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
        api = f"http://127.0.0.1:{port}/api/v1"
        with (tmp_path / "prometheus.log").open("wb") as log:
            prometheus = subprocess.Popen(
                [
                    "prometheus",
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                cwd=tmp_path,
                stdout=log,
                stderr=log,
            )
        try:
            wait_until(lambda: _answers(api), timeout_s=20)
            for n in range(4):  # conversations begin between scrapes, and the last event stays pending
                opened(0)
                assert installation.sandbox.inbox.wait_for(n + 2)
                wait_until(lambda: _value(api, "count_over_time(gladly_segment_build_info[1m])"))
            empty = wait_until(lambda: _only_pending_is_empty(api), timeout_s=20)
            assert empty == {"Oldest pending A", "restarts"}  # no event is pending, and nothing was restarted
            alerts = requests.get(f"{api}/alerts", timeout=5).json()["data"]["alerts"]
            assert alerts == []
        finally:
            prometheus.terminate()
            prometheus.wait(timeout=20)


def _answers(api: str) -> bool:
    """Return whether this Prometheus answers."""
    try:
        return requests.get(api + "/status/runtimeinfo", timeout=2).ok
    except requests.ConnectionError:
        return False


def _value(api: str, expression: str) -> list[object]:
    answer = requests.get(f"{api}/query", params={"query": expression}, timeout=5).json()
    assert answer["status"] == "success", answer
    return [one for one in answer["data"]["result"] if one["value"][1] != "NaN"]


def _only_pending_is_empty(api: str) -> set[str]:
    empty = {where for where, expression in expressions().items() if not _value(api, expression)}
    return empty if len(empty) <= 2 else set()
