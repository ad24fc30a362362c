"""The dashboard of contrib/, its panels and its queries."""

import json
from pathlib import Path

import pytest

DASHBOARD = json.loads(
    (Path(__file__).parents[2] / "contrib" / "grafana-dashboard.json").read_text()
)
PANELS = DASHBOARD["panels"]
GRAPHS = [panel for panel in PANELS if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in GRAPHS
    for target in panel["targets"]
]
