"""`edgecount train --list`, and the homes of the sets that it names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch")
yaml = pytest.importorskip("yaml")

from edgecount.cli import cli  # noqa: E402
from edgecount.errors import SourceError  # noqa: E402
from edgecount.train.config.extends import bundled_configs  # noqa: E402
from edgecount.train.data.origins import ORIGINS, origin_of  # noqa: E402
from edgecount.train.data.readers import READERS, read_samples  # noqa: E402

# Layouts that many sets have.
LAYOUTS = {"voc", "mot", "coco", "yolo", "csv", "csv_folder", "empty"}


def run(*args: str) -> str:
    result = CliRunner().invoke(cli, ["train", *args], prog_name="edgecount")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with ShanghaiTech A and VGG-16's weights, as far as names go."""
    (tmp_path / "shanghaitech" / "part_A" / "train").mkdir(parents=True)
    (tmp_path / "backbones").mkdir()
    (tmp_path / "backbones" / "vgg16.pth").touch()
    monkeypatch.setenv("EDGECOUNT_DATA", str(tmp_path))
    return tmp_path


def test_the_list_says_what_is_not_here(data):
    lines = run("--list").splitlines()
    assert lines[0].split() == ["config", "network", "sets"]
    names = [line.split()[0] for line in lines[1:] if line and not line.startswith(" ")]
    assert names[:-1] == sorted(bundled_configs())
    first = next(i for i, line in enumerate(lines) if line.startswith("hsrnet "))
    assert lines[first].split() == ["hsrnet", "hsrnet", "shanghaitech"]
    assert lines[first + 1] == "    HSRNet, Table 1 (ShanghaiTech A)"
    assert not lines[first + 2].startswith(" ")  # all of it is here
    first = next(i for i, line in enumerate(lines) if line.startswith("centernet-dla34 "))
    assert lines[first + 2] == "    not here: scut_head"
    assert f"Sets and weights are searched in {data}. Not there:" in lines
    first = lines.index(f"  {ORIGINS['scut_head']}:")
    assert lines[first + 1].startswith("    scut_head, scut_head/SCUT_HEAD_Part_A, ")


def test_the_list_fits_a_page_of_100_columns(monkeypatch, data):
    lines = [line for line in run("--list").splitlines() if str(data) not in line]
    assert max(map(len, lines)) <= 100
    monkeypatch.delenv("EDGECOUNT_DATA")  # nothing is here
    assert max(map(len, run("--list").splitlines())) <= 100


def test_the_list_needs_no_pytorch():
    script = (
        "import sys; sys.modules['torch'] = None\n"  # an import of it fails
        "from edgecount.cli import cli; cli(['train', '--list', *sys.argv[1:]])"
    )
    for more in ([], ["--json"]):
        command = [sys.executable, "-c", script, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        assert "hsrnet" in done.stdout


def test_the_list_as_json(data):
    configs = {one["name"]: one for one in json.loads(run("--list", "--json"))}
    assert list(configs) == sorted(bundled_configs())
    assert configs["hsrnet"]["ready"] is True
    assert configs["hsrnet"]["network"] == "hsrnet"
    assert {need["path"]: need["here"] for need in configs["hsrnet"]["needs"]} == {
        "shanghaitech/part_A/train": True,
        "backbones/vgg16.pth": True,
    }
    (data / "backbones" / "vgg16.pth").unlink()
    configs = {one["name"]: one for one in json.loads(run("--list", "--json"))}
    assert configs["hsrnet"]["ready"] is False
    assert configs["tiny"]["needs"] == []


def test_without_a_data_folder_nothing_is_here(monkeypatch):
    monkeypatch.delenv("EDGECOUNT_DATA", raising=False)
    assert "searched in EDGECOUNT_DATA, which is not set. Not there:" in run("--list")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "expected CONFIG: a YAML file, or a name that --list shows"),
        (["tiny"], "expected --out DIR, the folder of the run"),
        (["tiny", "--out", "x", "--json"], "--json is for --list"),
    ],
)
def test_a_run_needs_its_config_and_its_folder(args, message):
    result = CliRunner().invoke(cli, ["train", *args], prog_name="edgecount")
    assert result.exit_code == 2
    assert message in result.stderr


def test_every_set_with_a_reader_has_a_home(tmp_path):
    for reader in set(READERS) - LAYOUTS:
        origin = origin_of(reader, Path("anywhere"))
        assert origin is not None, reader
        with pytest.raises(SourceError) as caught:
            read_samples(reader, tmp_path / "missing")
        assert str(origin) in str(caught.value)
        assert "\n" not in str(caught.value)
    # SCUT-HEAD is also read as the Pascal VOC set that it is.
    assert origin_of("voc", Path("sets/SCUT_HEAD")) == ORIGINS["scut_head"]
    assert origin_of("voc", Path("sets/mine")) is None


def test_the_page_of_annotated_images_names_every_home():
    page = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for origin in ORIGINS.values():
        assert origin.home in page
        assert f"| {origin.title} |" in page
