"""The dashboard loads by Grafana's schema; it and the alerts name only what is exported."""

import json
import re
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from asgi_serial.timing import instruments
from asgi_serial.timing.instruments import RESPONSE_BODY_SIZE, Instrument

from .dashboard import DASHBOARD, GRAPHS, PANELS, QUERIES

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load((ROOT / "contrib" / "prometheus-alerts.yml").read_text())
CASES = yaml.safe_load((ROOT / "tests" / "contrib" / "alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
SUFFIXES = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",), "gauge": ("",)}


def samples_of(instrument):
    """The names of the samples that an instrument has in Prometheus."""
    kind = SUFFIXES[instrument.kind]
    suffixes = kind[1:] if instrument is RESPONSE_BODY_SIZE else kind
    return {instrument.prometheus_name + suffix for suffix in suffixes}


LABELS = {
    name: {label.replace(".", "_") for label in one.labels} | {"job", "instance", "process_pid"}
    for one in vars(instruments).values()
    if isinstance(one, Instrument)
    for name in samples_of(one)
}
for name in LABELS:
    if name.endswith("_bucket"):
        LABELS[name].add("le")
LABELS["asgi_serial_build_info"] = {"version", "python_version", "job", "instance"}


def selectors_of(query):
    """The metrics that a query selects, each with the labels that it names in braces."""
    for name, braces in re.findall(r"\b((?:http|asgi_serial)_\w+)\b(?:\{(.*?)\})?", query):
        if not any(name in labels for labels in LABELS.values()):
            yield name, set(re.findall(r"(\w+)(?:=~|!~|!=|=)", braces))


def assert_is_in(given, loaded, path="dashboard"):
    """Fail unless the schema has kept all that was given, and in its place."""
    if isinstance(given, dict):
        for name, value in given.items():
            assert name in loaded, f"{path}.{name} is not in Grafana's schema"
            assert_is_in(value, loaded[name], f"{path}.{name}")
    elif isinstance(given, list):
        assert len(given) == len(loaded), path
        for place, (value, other) in enumerate(zip(given, loaded, strict=True)):
            assert_is_in(value, other, f"{path}[{place}]")
    else:
        assert given == loaded, path


def test_the_dashboard_loads_by_the_schema_and_loses_nothing():
    register_default_plugins()
    loaded = Dashboard.from_json(DASHBOARD)
    assert_is_in(DASHBOARD, json.loads(json.dumps(loaded, cls=JSONEncoder)))


def test_panels_have_a_number_of_their_own_and_do_not_overlap():
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = [
        {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        for at in (panel["gridPos"] for panel in PANELS)
    ]
    assert all(x < 24 for cell in cells for x, _ in cell)
    assert not [pair for pair in combinations(cells, 2) if pair[0] & pair[1]]


@pytest.mark.parametrize("panel", GRAPHS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_in_which_unit(panel):
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_selects_what_is_exported(query):
    selected = list(selectors_of(query))
    assert selected
    for name, labels in selected:
        assert labels <= LABELS[name], name


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_is_exported(rule):
    selected = list(selectors_of(rule["expr"]))
    assert selected
    for name, labels in selected:
        assert labels <= LABELS[name], name
    assert {"summary", "description"} == set(rule["annotations"])
    assert rule["labels"]["severity"] in ("critical", "warning", "info")


@pytest.mark.parametrize("expected", [True, False], ids=["comes", "does not come"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_there_is_a_case_in_which_an_alert(rule, expected):
    assert expected in {
        bool(case["exp_alerts"])
        for test in CASES["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == rule["alert"]
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "rules", "contrib/prometheus-alerts.yml"),
        ("test", "rules", "tests/contrib/alerts.yml"),
    ],
    ids=" ".join,
)
def test_prometheus_itself_finds_the_rules_right(arguments):
    done = subprocess.run(["promtool", *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
