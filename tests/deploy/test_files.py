"""The files of deploy/ fit the program, and the tools that read them take them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgecount.cli import cli
from edgecount.cli.watch import watch

YAML = pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "compose" / "grafana" / "edgecount.json").read_text())
PROMTOOL = "promtool is not installed: apt install prometheus"


def read_yaml(path: Path) -> Any:
    return YAML.YAML(typ="safe").load(path.read_text())


def queries() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$camera", ".*")


def options_in(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def known_options() -> set[str]:
    return {name for param in watch.params for name in param.opts}


def metrics() -> str:
    """Return what a service renders that has everything."""
    pytest.importorskip("prometheus_client")
    from edgecount.runtime.sources.live import SourceHealth, SourceState
    from edgecount.watch.readings import LineReading, Reading, RegionReading
    from edgecount.watch.sinks.base import SinkHealth
    from edgecount.watch.sinks.metrics import Metrics
    from edgecount.watch.sinks.watched import Watched

    watched = Watched("Door", ("hall",), ("gate",), ("crowded",), ground=True)
    sinks = [SinkHealth("mqtt", is_open=True, delivered=1, dropped=0, waiting=0, error=None)]
    made = Metrics({"door": watched}, sinks=lambda: sinks)
    made.reading(
        Reading(
            "door",
            time.time(),
            3.0,
            (2.0, 4.0),
            3.0,
            (2.0, 4.0),
            {"hall": RegionReading(1.0, 1.0, 0.1, "A")},
            {"gate": LineReading(1.0, 2.0, 0.0)},
            "good",
            False,
            SourceHealth(SourceState.LIVE),
        )
    )
    return made.render().decode()


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    there_are = set(re.findall(r"^(edgecount_\w+)[ {]", metrics(), re.MULTILINE))
    asked = {name for query in queries() for name in re.findall(r"edgecount_\w+", query)}
    assert len(asked) > 10
    assert asked - there_are == set()
    sources = {
        target["datasource"]["uid"] for one in DASHBOARD["panels"] for target in one["targets"]
    }
    provided = read_yaml(DEPLOY / "compose" / "grafana" / "datasources.yaml")
    assert sources == {one["uid"] for one in provided["datasources"]}


def test_prometheus_takes_its_config_and_the_queries(tmp_path: Path) -> None:
    if shutil.which("promtool") is None:
        pytest.skip(PROMTOOL)
    token = tmp_path / "viewer.token"
    token.write_text("a-token")
    text = (DEPLOY / "compose" / "prometheus.yaml").read_text()
    rules = [{"record": f"q:{n}", "expr": query} for n, query in enumerate(queries())]
    (tmp_path / "rules.yaml").write_text(
        json.dumps({"groups": [{"name": "dashboard", "rules": rules}]})
    )
    config = tmp_path / "prometheus.yaml"
    config.write_text(
        text.replace("/etc/prometheus/viewer.token", str(token)) + "rule_files: [rules.yaml]\n"
    )
    command = ["promtool", "check", "config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_the_config_of_compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = DEPLOY / "compose" / "edgecount" / "cameras.yaml"
    arguments = ["watch", "--check", "--config", str(config), "--serve", "127.0.0.1:0"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.output


def test_compose_names_files_and_options_that_there_are() -> None:
    services = read_yaml(DEPLOY / "compose.yaml")["services"]
    assert options_in(services["edgecount"]["command"]) <= known_options()
    mounts = [mount for one in services.values() for mount in one["volumes"] if mount[0] == "."]
    made_by_the_user = {"./compose/edgecount/viewer.token"}
    for path in {mount.partition(":")[0] for mount in mounts} - made_by_the_user:
        assert (DEPLOY / path).exists(), path
    assert (DEPLOY / services["edgecount"]["build"]["context"]).resolve() == ROOT
    assert (ROOT / services["edgecount"]["build"]["dockerfile"]).is_file()
    target = read_yaml(DEPLOY / "compose" / "prometheus.yaml")["scrape_configs"][0]
    assert target["static_configs"][0]["targets"] == ["edgecount:8080"]
    assert services["edgecount"]["hostname"] == "edgecount"


def test_the_image_runs_a_command_that_there_is() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    command = json.loads(re.findall(r"^CMD (\[.*\])$", text, re.MULTILINE)[-1])
    assert command[0] == "watch"
    assert options_in(command) <= known_options()
    assert re.search(r"^USER (?!root)", text, re.MULTILINE)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: apt install systemd")
    text = (DEPLOY / "edgecount-watch.service").read_text()
    start = re.search(r"^ExecStart=(\S+) (.*)$", text, re.MULTILINE)
    assert start
    assert options_in(start[2].split()) <= known_options()
    executable = tmp_path / "edgecount"
    executable.write_text("#!/bin/sh\n")
    executable.chmod(0o755)
    unit = tmp_path / "edgecount-watch.service"
    unit.write_text(text.replace(start[1], str(executable)))
    done = subprocess.run(
        [program, "verify", "--man=no", "--generators=no", str(unit)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "edgecount-watch.service" not in done.stderr, done.stderr
    assert done.returncode == 0, done.stderr
