"""The dashboard and the alerts ask for metrics and labels that the service has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')
pytest.importorskip("prometheus_client", reason='needs pip install "edgecount[watch]"')

from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import LineReading, Reading, RegionReading
from edgecount.watch.sinks.base import SinkHealth
from edgecount.watch.sinks.metrics import Metrics
from edgecount.watch.sinks.watched import Watched

COMPOSE = Path(__file__).resolve().parents[2] / "deploy" / "compose"
DASHBOARD = json.loads((COMPOSE / "grafana" / "edgecount.json").read_text())
PROMTOOL = "promtool is not installed: apt install prometheus"
OF_TARGETS = {"job", "instance", "site"}  # labels that Prometheus adds to all that a box gives
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\d[\w.]*|[A-Za-z_:][\w:]*|[=!<>]=|[=!]~|\S')
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OPERATORS = {"and", "or", "unless", "bool", "offset"}


@dataclass
class Query:
    """The names in a PromQL expression."""

    metrics: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    grouped: set[str] = field(default_factory=set)


def parse(expression: str) -> Query:
    """Return the metrics of an expression with the labels they are chosen by, and its groups."""
    query, tokens = Query(), [*TOKEN.findall(expression), ""]
    index = 0
    while tokens[index]:
        word, follower = tokens[index], tokens[index + 1]
        index += 1
        if word == "[":  # a range of time
            index = tokens.index("]", index)
        if not re.match(r"[A-Za-z_]", word) or word in OPERATORS:
            continue
        if word in GROUPING and follower != "(":
            continue
        if word in GROUPING:
            end = tokens.index(")", index)
            query.grouped |= {one for one in tokens[index + 1 : end] if one != ","}
            index = end
        elif follower == "{":
            end = tokens.index("}", index)
            query.metrics[word] |= set(tokens[index + 1 : end : 4])
            index = end
        elif follower not in {"(", "by", "without"}:  # else a function
            query.metrics[word] |= set()
    return query


def exported() -> dict[str, set[str]]:
    """Return the labels of each metric of a service that has everything."""
    watched = Watched("Door", ("hall",), ("gate",), ("crowded",), ground=True, rate=5)
    sinks = [SinkHealth("mqtt", is_open=True, delivered=1, dropped=0, waiting=0, error=None)]
    metrics = Metrics({"door": watched}, sinks=lambda: sinks)
    reading = Reading(
        camera="door",
        time=time.time(),
        count=3.0,
        interval=(2.0, 4.0),
        smooth=3.0,
        smooth_interval=(2.0, 4.0),
        regions={"hall": RegionReading(1.0, 1.0, 0.1, "A")},
        lines={"gate": LineReading(1.0, 2.0, 0.0)},
        picture="good",
        night=False,
        health=SourceHealth(SourceState.LIVE),
        timings={"preprocess": 1.0, "infer": 20.0, "postprocess": 1.0},
    )
    metrics.reading(reading)
    families = text_string_to_metric_families(metrics.render().decode())
    found = {sample.name: set(sample.labels) for one in families for sample in one.samples}
    return found | {"up": set()}


EXPORTED = exported()


def targets() -> list[tuple[str, dict[str, Any]]]:
    panels = DASHBOARD["panels"]
    return [(panel["title"], target) for panel in panels for target in panel["targets"]]


def rules() -> list[dict[str, Any]]:
    (group,) = YAML(typ="safe").load((COMPOSE / "rules.yaml").read_text())["groups"]
    return list(group["rules"])


def known_labels(query: Query) -> set[str]:
    """Return the labels of what a query asks for; of metrics and labels that are not, fail."""
    labels = set(OF_TARGETS)
    for name, chosen in query.metrics.items():
        assert name in EXPORTED, name
        assert chosen <= EXPORTED[name] | OF_TARGETS, (name, chosen)
        labels |= EXPORTED[name]
    assert query.grouped <= labels, query.grouped
    return labels


def test_the_parser() -> None:
    text = (
        'sum by (a, b) (rate(x_total{c="1",d=~"}x|$y"}[5m])) / on (a) group_left z == 0 '
        "and up or vector(0) offset 5m"
    )
    query = parse(text)
    assert dict(query.metrics) == {"x_total": {"c", "d"}, "z": set(), "up": set()}
    assert query.grouped == {"a", "b"}


@pytest.mark.parametrize(("title", "target"), targets())
def test_the_dashboard_asks_for_what_there_is(title: str, target: dict[str, Any]) -> None:
    query = parse(target["expr"])
    labels = known_labels(query)
    named = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    assert named <= (query.grouped or labels), title


def test_tables_show_labels_that_there_are() -> None:
    tables = [panel for panel in DASHBOARD["panels"] if panel["type"] == "table"]
    assert len(tables) == 2
    for panel in tables:
        (target,) = panel["targets"]
        shown = panel["transformations"][0]["options"]["include"]["names"]
        assert set(shown) <= known_labels(parse(target["expr"]))


def test_variables_ask_for_labels_that_there_are() -> None:
    for variable in DASHBOARD["templating"]["list"]:
        found = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
        assert found is not None
        assert found[2] in known_labels(parse(found[1]))
        assert variable["query"]["query"] == variable["definition"]


def test_the_dashboard_has_the_source_that_is_provided_and_panels_that_do_not_overlap() -> None:
    provided = YAML(typ="safe").load((COMPOSE / "grafana" / "datasources.yaml").read_text())
    sources = {target["datasource"]["uid"] for _, target in targets()}
    assert sources == {one["uid"] for one in provided["datasources"]}
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, place["y"] + y) for x in columns for y in range(place["h"])}
        assert not taken & cells, panel["title"]
        assert max(columns) < 24, panel["title"]
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alerts_ask_for_what_there_is(rule: dict[str, Any]) -> None:
    query = parse(rule["expr"])
    labels = known_labels(query)
    named = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert named <= labels


def promtool(*arguments: str | Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip(PROMTOOL)
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=COMPOSE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_alerts_do_what_their_tests_say() -> None:
    assert f"{len(rules())} rules found" in promtool("check", "rules", "rules.yaml")
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yaml")
    tests = (COMPOSE / "rules.test.yaml").read_text()
    assert {rule["alert"] for rule in rules()} <= set(re.findall(r"alertname: (\w+)", tests))


def test_prometheus_takes_its_config_and_the_queries(tmp_path: Path) -> None:
    token = tmp_path / "viewer.token"
    token.write_text("a-token")
    queries = [re.sub(r"\$\w+", ".*", target["expr"]) for _, target in targets()]
    recorded = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(queries)]
    own = tmp_path / "queries.yaml"
    own.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))
    text = (COMPOSE / "prometheus.yaml").read_text()
    assert "rule_files: [/etc/prometheus/rules.yaml]" in text
    text = text.replace("/etc/prometheus/viewer.token", str(token))
    config = tmp_path / "prometheus.yaml"
    config.write_text(
        text.replace("/etc/prometheus/rules.yaml", f"{COMPOSE / 'rules.yaml'}, {own}")
    )
    said = promtool("check", "config", config)
    assert f"{len(queries)} rules found" in said
