"""The files of deploy/ fit the program, and the tools that read them take them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from edgecount.cli import cli
from edgecount.cli.watch import watch

YAML = pytest.importorskip("ruamel.yaml", reason='needs pip install "edgecount[watch]"')

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def read_yaml(path: Path) -> Any:
    return YAML.YAML(typ="safe").load(path.read_text())


def options_in(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if word.startswith("--")}


def known_options() -> set[str]:
    return {name for param in watch.params for name in param.opts}


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
