"""docs/scale.md fits the service, and its numbers are those that were measured."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("prometheus_client", reason="pip install edgecount[watch]")
pytest.importorskip("ruamel.yaml", reason="pip install edgecount[watch]")

from ruamel.yaml import YAML

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.config import load
from edgecount.watch.readings import LineReading, Reading, RegionReading
from edgecount.watch.sinks.base import SinkHealth
from edgecount.watch.sinks.metrics import Metrics
from edgecount.watch.sinks.watched import Watched

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "benchmarks" / "results" / "fleet-2026-11-29.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def exported() -> set[str]:
    watched = Watched("Door", ("hall",), ("gate",), ("crowded",), ground=True)
    sinks = [SinkHealth("history", is_open=True, delivered=1, dropped=0, waiting=0, error=None)]
    metrics = Metrics({"door": watched}, sinks=lambda: sinks)
    metrics.reading(
        Reading(
            "door", time.time(), 3.0, (2.0, 4.0), 3.0, (2.0, 4.0),
            {"hall": RegionReading(1.0, 1.0, 0.1, "A")}, {"gate": LineReading(1.0, 2.0, 0.0)},
            "good", False, SourceHealth(SourceState.LIVE), timings={"infer": 20.0},
        )
    )  # fmt: skip
    return set(re.findall(r"^(\w+)[ {]", metrics.render().decode(), re.MULTILINE))


def test_metrics() -> None:
    told = re.sub(r"site:edgecount_\w+:\w+", "", PAGE)
    told = re.sub(r"^ +regex: .*$", "", told, flags=re.MULTILINE)
    assert set(re.findall(r"\bedgecount_\w+", told)) <= exported()


def test_what_is_sent_to_the_middle() -> None:
    (pattern,) = re.findall(r"^ +regex: (.*)$", PAGE, re.MULTILINE)
    kept = {name for name in exported() if re.fullmatch(pattern, name)}
    assert {"edgecount_camera_up", "edgecount_alarms_raised_total"} <= kept
    assert "edgecount_region_people" not in kept


def test_links() -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
    for page, anchor in re.findall(r"\]\((\w+\.md)#([\w-]+)\)", PAGE):
        heads = re.findall(r"^#+ (.*)$", (ROOT / "docs" / page).read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in heads}


@pytest.mark.parametrize(
    "number",
    ["1,175 bytes", "801", "4,006", "12,250", "61,250", "992", "31,000", "2,025", "155,000",
     "10,125", "853 of 60,000", "0.50 MB", "36 million"],
)  # fmt: skip
def test_numbers_are_those_that_were_measured(number: str) -> None:
    assert number.replace("0.50", "0.5") in PAGE
    plain = number.replace(",", "").replace(" bytes", "")
    assert {"36 million": "36000000", "853 of 60000": "853 of 60,000"}.get(plain, plain) in MEASURED


def test_the_config_of_a_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOOR_PASSWORD", "a-password")
    for name in ("mqtt.password", "page.token", "viewer.token"):
        (tmp_path / name).write_text(f"a-long-secret-of-{name}\n")
        (tmp_path / name).chmod(0o600)
    (config,) = [block for block in blocks("yaml") if block.startswith("# /etc/edgecount/cameras")]
    (tmp_path / "cameras.yaml").write_text(config)
    loaded = load(tmp_path / "cameras.yaml")
    assert loaded.sinks.mqtt is not None
    assert (loaded.sinks.mqtt.topic, loaded.sinks.mqtt.discovery) == (
        "edgecount/north/box-01",
        None,
    )


def test_the_other_files(tmp_path: Path) -> None:
    yaml = YAML(typ="safe")
    found: list[Any] = [yaml.load(block) for block in blocks("yaml")]
    assert len(found) == 5
    (playbook,) = [one for one in found if isinstance(one, list) and "tasks" in one[0]]
    (task,) = playbook[0]["tasks"]
    assert task["ansible.builtin.copy"]["validate"].endswith("edgecount watch --check --config %s")
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    for name in ("viewer.token", "middle.password"):
        (tmp_path / name).write_text("a-secret")
    (prometheus,) = [block for block in blocks("yaml") if block.startswith("# prometheus.yaml")]
    (sums,) = [block for block in blocks("yaml") if block.startswith("groups:")]
    (targets,) = [block for block in blocks("yaml") if block.startswith("# sites/")]
    (tmp_path / "rules.yaml").write_text(sums)
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "north.yaml").write_text(targets)
    config = tmp_path / "prometheus.yaml"
    config.write_text(prometheus.replace("/etc/prometheus", str(tmp_path)))
    command = ["promtool", "check", "config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 rules found" in done.stdout
