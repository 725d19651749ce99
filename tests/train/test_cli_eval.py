"""`edgecount eval`: the bundled model on three rendered scenes."""

import csv
import dataclasses
import json
import shutil

import cv2
import numpy as np
import onnx
import pytest

pytest.importorskip("scipy")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("yaml")

from click.testing import CliRunner

from edgecount import EdgeCounter
from edgecount.cli import cli
from edgecount.cli._eval.folds import read_folds
from edgecount.cli._eval.table import comparison
from edgecount.errors import ConfigError
from edgecount.manifest import IntervalSpec
from edgecount.models import model_path
from edgecount.runtime.models.open import open_model
from edgecount.scenes import render_scene
from edgecount.train.checkpoint import save_checkpoint
from edgecount.train.config import config_from_dict, config_to_dict
from edgecount.train.data.assemble import load_data
from edgecount.train.data.drawn import records_to_dict


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Write a folder in the csv reader's layout: nobody, 3 and 12 people."""
    folder = tmp_path_factory.mktemp("scenes")
    with (folder / "heads.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        for people in (0, 3, 12):
            scene = render_scene(people, size=(320, 240), seed=4, light="day")
            name = f"{people}.png"
            cv2.imwrite(str(folder / name), scene.image)
            rows.writerows([name, x, y] for x, y in scene.points.tolist())
            if not people:
                rows.writerow([name])
    return folder


@pytest.fixture(scope="module")
def wide(tmp_path_factory, write_model):
    """Write the bundled model with an interval of 100 people to either side."""
    manifest = open_model("edgecount-s").manifest
    interval = IntervalSpec(0.8, below=100.0, above=100.0, floor=1.0, root=0.0, share=0.0, gap=0.0)
    postprocess = dataclasses.replace(manifest.postprocess, interval=interval)
    return write_model(
        onnx.load(model_path("edgecount-s")),
        tmp_path_factory.mktemp("model") / "wide.onnx",
        dataclasses.replace(manifest, postprocess=postprocess),
    )


def test_an_image_that_cannot_be_read_is_left_out(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "set")
    whole = json.loads(run("eval", "edgecount-n", scenes, "--reader", "csv", "--json").stdout)
    (tmp_path / "set" / "3.png").write_bytes((scenes / "3.png").read_bytes()[:2000])
    options = ("--reader", "csv", "--json", "--report", tmp_path / "report")
    result = run("eval", "edgecount-n", tmp_path / "set", *options)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "3.png" in line
    values = json.loads(result.stdout)
    assert (values["count"]["images"], whole["count"]["images"]) == (2, 3)


def test_the_json_has_every_metric_and_with_per_image_every_image(scenes, wide):
    result = run("eval", wide, scenes, "--reader", "csv", "--json", "--per-image")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert set(values) == {
        "count",
        "density_count",
        "peak_count",
        "points",
        "points_short_side",
        "points_at",
        "localisation",
        "game",
        "game_of_points",
        "ssim",
        "psnr",
        "false_recognition",
        "false_recognition_of_truth",
        "kernels",
        "interval",
        "levels",
        "images",
    }
    assert sorted(image["true"] for image in values["images"]) == [0, 3, 12]
    errors = [abs(image["count"] - image["true"]) for image in values["images"]]
    assert values["count"]["mae"] == pytest.approx(sum(errors) / 3)
    assert values["count"]["mae"] < 5
    assert values["interval"]["coverage"] == 1
    widths = [high - low for low, high in (image["interval"] for image in values["images"])]
    assert all(100 <= width <= 200 for width in widths)
    assert values["density_count"]["mae"] == pytest.approx(values["game"][0], rel=1e-4)


def test_the_kernels_of_the_truth_are_those_that_are_asked_for(scenes, wide):
    command = ("eval", wide, scenes, "--reader", "csv", "--json")
    result = run(*command, "--kernels", "beta=1,max_sigma=0")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert values["kernels"] == {"sigma": 0, "beta": 1, "neighbours": 3, "max_sigma": 0}
    for text, message in (
        ("sigma", "expected KEY=VALUE, got 'sigma'"),
        ("sigma=wide", "sigma: expected a number, got 'wide'"),
        ("spread=3", "spread: unknown key"),
        ("beta=-1", "beta: expected a number above 0, got -1.0"),
    ):
        refused = run(*command, "--kernels", text)
        assert refused.exit_code == 2
        assert message in refused.stderr


def test_the_table_is_for_people_and_the_report_for_a_browser(scenes, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "report"
    options = ("--reader", "csv", "--report", out, "--max-side", "native")
    result = run("eval", "edgecount-s", scenes, *options)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == "3 images"
    assert lines[1].split() == ["MAE", "RMSE", "NAE", "bias"]
    assert [line.split()[0] for line in lines[2:5]] == ["count", "from", "from"]
    assert "GAME(3)" in result.stdout
    assert lines[-1] == str(out / "report.html")
    assert f"edgecount-s on {scenes.name}" in (out / "report.html").read_text(encoding="utf-8")


def test_the_interval_is_a_line_of_the_table(scenes, wide):
    lines = run("eval", wide, scenes, "--reader", "csv").stdout.splitlines()
    (line,) = [line for line in lines if line.startswith("interval")]
    assert line.startswith("interval          80% asked for, 100.0% of the images inside, ")
    assert line.endswith(" of the count wide")


def test_scenes_of_worldexpo_have_rows_of_their_own(tmp_path):
    io = pytest.importorskip("scipy.io")
    for number, scene in enumerate(("104207", "200608")):
        frames, labels = tmp_path / "test_frame" / scene, tmp_path / "test_label" / scene
        frames.mkdir(parents=True)
        labels.mkdir(parents=True)
        image = np.random.default_rng(number).integers(0, 255, (96, 128, 3), dtype=np.uint8)
        cv2.imwrite(str(frames / f"{scene}_A.jpg"), image)
        io.savemat(labels / f"{scene}_A.mat", {"point_position": [[20.0, 20.0], [100.0, 20.0]]})
        x, y = np.array([[8.0], [60], [60], [8]]), np.array([[8.0], [8], [80], [80]])
        vertices = {"maskVerticesXCoordinates": x, "maskVerticesYCoordinates": y}
        io.savemat(labels / "roi.mat", vertices)
    options = ("eval", "edgecount-n", tmp_path / "test_frame", "--reader", "worldexpo")
    result = run(*options, "--json")
    summary = json.loads(result.stdout)
    assert list(summary["groups"]) == ["104207", "200608"]
    errors = [group["mae"] for group in summary["groups"].values()]
    assert summary["mean_of_groups"]["mae"] == pytest.approx(sum(errors) / 2)
    assert summary["count"]["mae"] == pytest.approx(sum(errors) / 2)
    rows = [line for line in run(*options).stdout.splitlines() if line.startswith("104207")]
    assert rows[0].split()[1:3] == ["1", f"{errors[0]:.2f}"]
    assert "mean of groups" in run(*options).stdout


def test_an_unknown_reader_is_one_line(scenes):
    result = run("eval", "edgecount-s", scenes, "--reader", "csw")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "expected one of shanghaitech" in result.stderr


def test_per_image_goes_with_json(scenes):
    result = run("eval", "edgecount-s", scenes, "--reader", "csv", "--per-image")
    assert result.exit_code == 2
    assert "--json" in result.stderr


def test_a_checkpoint_runs_in_pytorch_alone(scenes, tmp_path):
    checkpoint = tmp_path / "best.pt"
    result = run("eval", checkpoint, scenes, "--reader", "csv", "--backend", "onnxruntime")
    assert result.exit_code == 2
    assert "expected auto, got onnxruntime" in result.stderr
    missing = run("eval", checkpoint, scenes, "--reader", "csv")
    assert missing.exit_code == 1
    assert missing.stderr.count("\n") == 1
    assert "best.pt" in missing.stderr


def test_a_damaged_image_is_named_and_may_be_taken(tmp_path):
    done, data = cv2.imencode(".jpg", render_scene(3, size=(320, 240), seed=4).image)
    assert done
    (tmp_path / "a.jpg").write_bytes(bytes(data)[:-200])
    (tmp_path / "heads.csv").write_text("a.jpg,10,20\n")
    command = ("eval", "edgecount-n", tmp_path, "--reader", "csv")
    refused = run(*command)
    assert refused.exit_code == 1
    assert "a.jpg is truncated" in refused.stderr
    assert "--accept-damaged" in refused.stderr
    assert run(*command, "--accept-damaged").exit_code == 0


def test_several_models_and_a_run_make_a_table(settings, tmp_path):
    settings["data"][0]["holdout"] = 0.5
    settings |= {"report": False, "steps": 2}
    config, made = tmp_path / "c.yaml", tmp_path / "run"
    config.write_text(json.dumps(settings))  # which is YAML, too
    assert run("train", config, "--out", made, "--threads", 1).exit_code == 0
    alone = run("eval", made)
    assert alone.exit_code == 0, alone.output
    assert alone.stdout.splitlines()[0] == "1 images"
    result = run("eval", "edgecount-n", made, made / "last.pt", made)
    assert result.exit_code == 0, result.output
    head, *rows = result.stdout.splitlines()
    assert head.split()[:3] == ["model", "images", "MAE"]
    names = ["edgecount-n", str(made / "best.pt"), str(made / "last.pt")]
    assert [row.split()[0] for row in rows] == names
    values = json.loads(run("eval", "edgecount-n", made, made, "--json").stdout)
    assert list(values["models"]) == names[:2]
    assert values["models"]["edgecount-n"]["part_X"]["count"]["images"] == 1
    other = run("eval", made, "--split", "mine")
    assert other.exit_code == 2
    assert "--split: the run holds out part_X, got mine" in other.stderr


def test_each_model_is_opened_once_and_before_anything_is_measured(scenes, monkeypatch):
    opened = []
    open_counter, count = EdgeCounter.__init__, EdgeCounter.count_each

    def opens(self, model, **options):
        opened.append(model)
        open_counter(self, model, **options)

    def counts(self, *given, **options):
        opened.append("counts")
        return count(self, *given, **options)

    monkeypatch.setattr(EdgeCounter, "__init__", opens)
    monkeypatch.setattr(EdgeCounter, "count_each", counts)
    result = run("eval", "edgecount-n", "edgecount-s", scenes, "--reader", "csv")
    assert result.exit_code == 0, result.output
    assert opened == ["edgecount-n", "edgecount-s", "counts", "counts"]


def test_runs_of_all_folds_give_the_mean_of_their_errors(settings, tmp_path):
    settings["data"][0] |= {"folds": 2}
    settings["data"][0].pop("split", None)
    settings["data"][0].pop("holdout", None)
    settings |= {"report": False, "steps": 2}
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps(settings))  # which is YAML, too
    runs = [tmp_path / "one", tmp_path / "two"]
    for number, made in enumerate(runs, 1):
        change = ("--set", f"data.0.fold={number}")
        assert run("train", config, "--out", made, "--threads", 1, *change).exit_code == 0
    result = run("eval", *runs, "--folds", "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    names = [list(values["models"][str(made / "best.pt")]) for made in runs]
    assert names == [["part_X-fold1"], ["part_X-fold2"]]
    counts = [
        values["models"][str(made / "best.pt")][name[0]]["count"]
        for made, name in zip(runs, names, strict=True)
    ]
    mean = values["mean_of_folds"]
    assert (mean["folds"], mean["images"]) == (2, sum(count["images"] for count in counts))
    assert mean["rmse"] == pytest.approx((counts[0]["rmse"] + counts[1]["rmse"]) / 2)
    errors = abs(counts[0]["mae"] - counts[1]["mae"])
    assert mean["spread"]["mae"] == pytest.approx(errors / 2**0.5)
    table = run("eval", *runs, "--folds")
    assert table.stdout.splitlines()[-1].startswith("mean of 2 folds")
    for arguments, message in (
        ((runs[0], runs[0]), "runs of folds 1 to 2 of one set, got part_X 1/2, part_X 1/2"),
        ((runs[0],), "runs of folds 1 to 2 of one set, got part_X 1/2"),
        ((tmp_path,), f"expected folders of runs of edgecount train, got {tmp_path}"),
        ((*runs, "--split", "mine"), "no --split, no --reader"),
    ):
        refused = run("eval", *arguments, "--folds")
        assert refused.exit_code == 2
        assert message in refused.stderr


def test_runs_of_folds_of_a_set_that_grew_in_between_are_refused(tmp_path):
    def add(numbers):
        for number in numbers:
            cv2.imwrite(str(mine / f"{number}.png"), np.full((48, 64, 3), number, np.uint8))
        rows = [f"{path.name},20,20\n" for path in sorted(mine.glob("*.png"))]
        (mine / "heads.csv").write_text("image,x,y\n" + "".join(rows))

    def begin(fold):
        entry = {"reader": "csv", "path": "mine", "folds": 2, "fold": fold}
        model = {"name": "edgecount-n"}
        config = config_from_dict({"model": model, "data_root": str(tmp_path), "data": [entry]})
        made = tmp_path / f"run{fold}"
        made.mkdir(exist_ok=True)
        kept = records_to_dict(load_data(config, made).drawn)
        state = {"ema": {}, "step": 1, "config": config_to_dict(config), "held_out": kept}
        save_checkpoint(made / "best.pt", state)
        return str(made)

    mine = tmp_path / "mine"
    mine.mkdir()
    add(range(10))
    runs = [begin(1), begin(2)]
    add(range(10, 15))
    parts = [part for sets in read_folds(runs, None).values() for part in sets.values()]
    assert [len(part) for part in parts] == [5, 5]
    runs[1] = begin(2)
    with pytest.raises(
        ConfigError, match=r"got \d+ of the 10 and 15 it had, and \d+ held out again"
    ):
        read_folds(runs, None)


def test_a_model_alone_is_a_usage_error(scenes):
    result = run("eval", scenes)
    assert result.exit_code == 2
    assert "expected MODEL and DATA, or the folder of a run" in result.stderr
    result = run("eval", "edgecount-s", "edgecount-n", scenes, "--report", "out")
    assert result.exit_code == 2
    assert "--report: expected one MODEL, got 2" in result.stderr


def test_the_reader_is_guessed_and_images_are_limited(scenes):
    result = run("eval", "edgecount-n", scenes, "--images", 2)
    assert result.exit_code == 0, result.output
    assert result.stderr == f"edgecount: {scenes} is read with --reader csv\n"
    assert result.stdout.splitlines()[0] == "2 images"


def test_deployed_models_are_measured_with_zoom(scenes):
    command = ("eval", "edgecount-n", scenes, "--reader", "csv", "--json", "--per-image")
    once = json.loads(run(*command).stdout)
    twice = json.loads(run(*command, "--zoom", 1).stdout)
    assert twice["count"]["images"] == 3
    assert "interval" not in twice
    for before, after in zip(once["images"], twice["images"], strict=True):
        assert after["density_count"] == before["density_count"]


def test_average_precision_is_printed_where_it_is_asked_for(scenes, wide):
    result = run("eval", wide, scenes, "--reader", "csv", "--average-precision", "--json")
    assert result.exit_code == 0, result.output
    points = json.loads(result.stdout)["average_precision"]["points"]
    assert 0.5 < points["8"]["ap"] <= points["8"]["recall"] <= 1
    table = run("eval", wide, scenes, "--reader", "csv", "--average-precision").output
    assert f"points, 4-16 px{points['ap']:12.3f}{points['ar']:9.3f}" in table
    assert "half a short side" in table
    assert "mean of 1-100 px" in table


def test_average_precisions_end_the_rows_of_a_table_of_models():
    count = {"images": 6, "mae": 21.333, "rmse": 25.29, "nae": 0.583, "bias": 2.667}
    of_points = {"count": count, "average_precision": {"points": {"ap": 0.5, "ar": 0.75}}}
    boxes = {"ap": 0.1206, "ar": 0.3, "ap50": 0.4199, "ap75": 0.03}
    of_boxes = {
        "count": count,
        "average_precision": {"points": {"ap": 0.6623, "ar": 1.0}, "boxes": boxes},
    }
    head, first, second = comparison({"a": {"set": of_points}, "b": {"set": of_boxes}})
    assert head.endswith("  AP points  AP boxes  AP50 boxes")
    assert first.split()[-3:] == ["0.500", "-", "-"]
    assert second.split()[-3:] == ["0.662", "0.121", "0.420"]
    assert len(head) == len(first) == len(second)
    plain = next(comparison({"a": {"set": {"count": count}}, "b": {"set": {"count": count}}}))
    assert "AP" not in plain
