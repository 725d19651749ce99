"""Fine-tuning of a deployed model: its own weights to start with, better ones or none to end."""

import dataclasses
import json
import math
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from sidecars import write_engine

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("lightning_fabric")
cv2 = pytest.importorskip("cv2")

from click.testing import CliRunner  # noqa: E402

from edgecount import EdgeCounter  # noqa: E402
from edgecount.cli import cli  # noqa: E402
from edgecount.errors import ConfigError, ModelError, OutputError  # noqa: E402
from edgecount.manifest import InputSpec  # noqa: E402
from edgecount.runtime.pipeline.preprocess import input_geometry  # noqa: E402
from edgecount.train.adapt import adapt  # noqa: E402
from edgecount.train.adapt import run as run_module  # noqa: E402
from edgecount.train.adapt.evidence import Comparison  # noqa: E402
from edgecount.train.adapt.measure import count_all  # noqa: E402
from edgecount.train.adapt.run import make_plan, sort_images  # noqa: E402
from edgecount.train.data.readers import read_samples  # noqa: E402
from edgecount.train.evaluate.torch_backend import counter_for  # noqa: E402
from edgecount.train.open_trainable import open_trainable  # noqa: E402
from edgecount.train.postprocess.fusion import observe_sample, outcome  # noqa: E402


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    """Twelve pictures of 4 to 15 pale discs on a dark floor, which no model takes for heads."""
    folder = tmp_path_factory.mktemp("camera")
    rng = np.random.default_rng(0)
    rows = ["image,x,y"]
    for number in range(12):
        image = rng.integers(30, 50, (160, 224, 3), dtype=np.uint8)
        places = rng.permutation(54)[: 4 + number]
        for place in places:
            x, y = 16 + 24 * (place % 9), 16 + 24 * (place // 9)
            cv2.circle(image, (int(x), int(y)), 6, (150, 180, 200), -1, cv2.LINE_AA)
            rows.append(f"{number}.png,{x},{y}")
        cv2.imwrite(str(folder / f"{number}.png"), image)
    (folder / "points.csv").write_text("\n".join(rows))
    return folder


def run(*args):
    return CliRunner().invoke(cli, [str(arg) for arg in args])


def test_a_bundled_model_is_taken_up_where_it_was():
    network, manifest, objective = open_trainable("edgecount-s")
    assert objective.name == "edge"
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3), dtype=np.uint8)
    with EdgeCounter("edgecount-s") as bundled, counter_for(network, manifest) as again:
        one, other = bundled.count(image), again.count(image)
    np.testing.assert_allclose(other.density, one.density, rtol=1e-3, atol=1e-5)
    assert other.count == pytest.approx(one.count, rel=1e-3, abs=1e-4)


def test_images_without_people_are_negatives(camera):
    samples = read_samples("csv", camera)
    nobody = read_samples("empty", camera)
    sorted_out = sort_images([*samples, nobody[0]], nobody[1:3], InputSpec())
    assert (len(sorted_out.occupied), len(sorted_out.empty)) == (12, 3)
    with pytest.raises(ConfigError, match=r"negatives: expected pictures without people, .*0\.png"):
        sort_images(samples, samples[:1], InputSpec())


@pytest.mark.parametrize("change", [{"max_side": 128}, {"static_size": (64, 128)}])
def test_images_are_shrunk_as_the_model_shrinks_them(camera, change):
    samples = read_samples("csv", camera)
    network, manifest, _ = open_trainable("edgecount-n")
    spec = dataclasses.replace(manifest.input, **change)
    manifest = dataclasses.replace(manifest, input=spec)
    (sample, *_) = sort_images(samples, [], spec).occupied
    geometry = input_geometry(samples[0].image().shape[1::-1], spec, spec.max_side)
    assert sample.image().shape[:2] == geometry.resized
    assert not geometry.is_native
    deployed = count_all(network.eval(), manifest, [samples[0]])[0].count
    grid = manifest.postprocess.fusion.grid
    seen = outcome(observe_sample(network, sample, grid=grid), manifest.postprocess)
    assert seen.count == pytest.approx(deployed, rel=1e-3)


def test_options_that_make_no_sense(camera):
    samples = read_samples("csv", camera)
    with pytest.raises(
        ConfigError, match="expected at least 5 annotated images with people, got 4"
    ):
        make_plan(samples[:4], None)
    with pytest.raises(ConfigError, match="got 7, 3 of which are the same file as another"):
        make_plan([*samples[:4], *samples[:3]], None)
    for rate in (0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="learning_rate: expected a number above 0"):
            adapt("edgecount-n", samples, learning_rate=rate)


@pytest.fixture
def few_scenes(monkeypatch):
    """Two small rendered scenes in place of dozens of large ones."""
    from edgecount.scenes import render_scene
    from edgecount.train.data.readers.samples import from_points

    def render(folder, *_):
        folder.mkdir()
        scenes = []
        for seed in (1, 2):
            scene = render_scene(4 * seed, size=(128, 96), seed=seed)
            cv2.imwrite(str(folder / f"{seed}.png"), scene.image)
            scenes.append(from_points(folder / f"{seed}.png", scene.points))
        return scenes

    monkeypatch.setattr(run_module, "training_scenes", render)
    monkeypatch.setattr(run_module, "check_scenes", render)


@pytest.mark.slow
@pytest.mark.usefixtures("few_scenes")
def test_a_better_model_is_written_and_can_be_adapted_again(camera, tmp_path):
    out, nobody = tmp_path / "adapted.onnx", tmp_path / "nobody"
    nobody.mkdir()
    for number in range(4):
        image = np.random.default_rng(number).integers(30, 50, (160, 224, 3), dtype=np.uint8)
        cv2.imwrite(str(nobody / f"{number}.png"), image)
    done = run(
        "adapt", "edgecount-n", camera, "--reader", "csv", "--out", out, "--steps", 240,
        "--learning-rate", "1e-3", "--negatives", nobody, "--json", "--threads", 1,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    record = json.loads(done.stdout)
    assert record["after"] < 0.7 * record["before"]
    assert record["verdict"] == "better"
    assert len(record["held_out"]) == record["trained"] == 12
    assert record["empty"]["images"] == 4
    assert record["interval"]["after"]["coverage"] > 0.6
    samples = read_samples("csv", camera)
    with EdgeCounter(out) as counter:
        errors = [abs(counter.count(s.image()).count - len(s.points)) for s in samples]
        assert counter.manifest.name == "edgecount-n-adapted"
        assert counter.manifest.training["adapted"]["images"] == 12
        assert counter.manifest.version.startswith("0.0.0+")
        assert counter.manifest.training["metrics"]["held out"]["images"] == 12
        assert counter.manifest.postprocess.interval is not None
    # The mean of the networks has seen all of them.
    assert np.mean(errors) < record["before"]
    assert run("adapt", "edgecount-n", camera, "--reader", "csv", "--out", out).exit_code == 1
    network, manifest, _ = open_trainable(out)
    assert manifest.name == "edgecount-n-adapted"
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


@pytest.mark.usefixtures("few_scenes")
def test_a_model_that_is_not_better_is_not_written(camera, tmp_path):
    out = tmp_path / "adapted.onnx"
    done = run(
        "adapt", "edgecount-n", camera, "--reader", "csv", "--out", out, "--steps", 6,
        "--learning-rate", "1e-30", "--threads", 1,
    )  # fmt: skip
    assert done.exit_code == 1
    assert "not written: on 12 pictures that training left out the mean error went" in done.stderr
    assert "which may be chance" in done.stderr
    assert not out.exists()
    report = done.stdout.splitlines()
    assert report[0].startswith("mean error on 12 pictures that training left out: ")
    assert re.match(
        r"pictures trained on: error .* with none, .* with 3, .* with 9; 12 more", report[1]
    )
    assert re.match(r"90% interval: \d+% of these pictures inside and .* people wide", report[2])
    assert report[3].startswith("rendered scenes of other places (2): ")


@pytest.fixture
def untrained(monkeypatch):
    """Fail where a training begins."""

    def train(*_, **__):
        raise AssertionError("a training began")

    monkeypatch.setattr("edgecount.train.adapt.adapt", train)


@pytest.mark.usefixtures("untrained")
def test_a_file_that_cannot_be_written_is_refused_before_the_training(camera, tmp_path):
    (tmp_path / "file").touch()
    done = run("adapt", "edgecount-n", camera, "--out", tmp_path / "file" / "a.onnx")
    assert done.exit_code == 1
    assert "file is no folder: choose another --out" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.usefixtures("untrained")
@pytest.mark.parametrize("package", ["onnxscript", "onnxruntime"])
def test_a_package_that_writes_the_file_is_missed_before_the_training(
    camera, tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    done = run("adapt", "edgecount-n", camera, "--out", tmp_path / "a.onnx")
    assert done.exit_code == 1
    assert f"{package} is needed to export models" in done.stderr
    assert 'pip install "edgecount[export]"' in done.stderr


@pytest.mark.usefixtures("few_scenes")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_disk_that_fills_up_during_the_training_loses_nothing(
    camera, tmp_path, monkeypatch, options
):
    out, aside = tmp_path / "adapted.onnx", tmp_path / "aside"
    aside.mkdir()

    def better(*given, **more):
        done = adapt(*given, **more)
        return dataclasses.replace(done, errors=Comparison(before=2.0, after=1.0, noise=0.1))

    def export(_network, _manifest, path):
        if path == out:
            raise OutputError(f"cannot write {path}: No space left on device")
        path.write_bytes(b"a model")

    monkeypatch.setattr("edgecount.train.adapt.adapt", better)
    monkeypatch.setattr("edgecount.export.source.from_torch.export_onnx", export)
    monkeypatch.setattr(tempfile, "tempdir", str(aside))
    done = run(
        "adapt", "edgecount-n", camera, "--reader", "csv", "--out", out, "--steps", 6,
        "--learning-rate", "1e-30", "--threads", 1, *options,
    )  # fmt: skip
    assert done.exit_code == 1
    (kept,) = aside.iterdir()
    assert kept.read_bytes() == b"a model"
    assert f"No space left on device; the model is kept as {kept}: move it" in done.stderr
    if options:
        record = json.loads(done.stdout)
        assert (record["file"], record["before"], record["after"]) == (None, 2.0, 1.0)
    else:
        assert "2.00 before, 1.00 after" in done.stdout.splitlines()[0]


@pytest.mark.usefixtures("few_scenes")
def test_five_pictures_and_a_few_without_people_will_do(camera):
    samples, nobody = read_samples("csv", camera)[:5], read_samples("empty", camera)[:2]
    done = adapt("edgecount-n", samples, negatives=nobody, steps=6, learning_rate=1e-4)
    assert (done.trained, len(done.held_out), done.empty.images) == (5, 5, 2)
    assert done.intervals.kept
    stored = done.manifest.training["metrics"]["held out"]
    assert stored["width"] == round(done.intervals.after.width, 2)
    spec = done.manifest.postprocess.interval
    assert spec.above >= open_trainable("edgecount-n")[1].postprocess.interval.above
    numbers = json.loads(json.dumps(done.numbers()))
    assert numbers["learning_curve"]["few"][0] == 1.0
    source = open_trainable("edgecount-n")[0]
    kept = dict(source.named_parameters())
    for name, value in done.network.named_parameters():
        assert torch.equal(value, kept[name]) == name.startswith("backbone")


@pytest.mark.usefixtures("few_scenes")
def test_pictures_of_one_moment_are_warned_of_and_two_moments_are_two_parts(camera, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    rows = (camera / "points.csv").read_text().splitlines()[1:]
    names = [f"door-20240501-1200{2 * number:02d}-417.png" for number in range(6)]
    for number, name in enumerate(names):
        shutil.copy(camera / f"{number}.png", kept / name)
    table = [f"{names[int(n)]},{x},{y}" for n, x, y in
             (row.replace(".png", "").split(",") for row in rows) if int(n) < 6]  # fmt: skip
    (kept / "points.csv").write_text("\n".join(["image,x,y", *table]))
    done = run(
        "adapt", "edgecount-n", kept, "--reader", "csv", "--out", tmp_path / "a.onnx", "--steps", 6,
        "--learning-rate", "1e-30", "--threads", 1, "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["close"] == 6
    assert done.stderr.count("by the times in their names all 6 pictures") == 1
    assert "other hours may be counted worse" in done.stderr
    later = [
        dataclasses.replace(one, path=one.path.rename(kept / f"door-20240502-0900{n:02d}-000.png"))
        if n > 2 else one
        for n, one in enumerate(read_samples("csv", kept))
    ]  # fmt: skip
    nobody = read_samples("empty", camera)[:3]
    done = adapt("edgecount-n", later, negatives=nobody, steps=6, learning_rate=1e-4)
    assert (len(done.held_out), done.close, done.empty.images) == (6, 0, 3)
    assert done.curve.few[0] < done.curve.most[0] == 3


def test_models_that_cannot_be_trained(camera, tiny_model):
    samples = read_samples("csv", camera)
    with pytest.raises(ModelError, match="expected an edge model"):
        adapt(tiny_model, samples)
    with pytest.raises(ModelError, match="cannot read the checkpoint"):
        adapt("nothing.pt", samples)


def test_an_engine_cannot_be_trained(tmp_path, tiny_model):
    onnx = Path(shutil.copy(tiny_model, tmp_path / "model.onnx"))
    engine = write_engine(tmp_path / "model.engine", b"a plan", onnx)
    with pytest.raises(ModelError, match=r"is an engine, .* expected the \.onnx that it was built"):
        open_trainable(engine.path)
