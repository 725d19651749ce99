"""The manifest: through JSON and back, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgecount.errors import ModelError
from edgecount.manifest import (
    METADATA_KEY,
    FusionSpec,
    InputSpec,
    IntervalSpec,
    Manifest,
    OutputSpec,
    PostprocessSpec,
)
from edgecount.runtime.models.onnx_metadata import read_metadata

ROOT = Path(__file__).parents[2]
MODEL_FILES = sorted([*ROOT.glob("edgecount/models/*.onnx"), *ROOT.glob("releases/*.onnx")])


@pytest.fixture
def manifest(make_manifest: Callable[..., Manifest]) -> Manifest:
    return make_manifest(unit=100.0)


@pytest.fixture
def data(manifest: Manifest) -> dict[str, Any]:
    return manifest.to_dict()


def test_through_json_and_back(manifest: Manifest) -> None:
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_training_and_unicode_survive() -> None:
    made = Manifest(
        name="m",
        version="1",
        description="für Köpfe",
        input=InputSpec(),
        outputs=(OutputSpec("d", "density", 8),),
        training={"data": ["ours"], "metrics": {"mae": 7.5}},
    )
    assert Manifest.from_json(made.to_json()) == made
    assert "für Köpfe" in made.to_json()


def test_the_interval_is_wider_where_density_and_points_disagree() -> None:
    spec = IntervalSpec(0.9, below=1.0, above=2.0, floor=3.0, root=0.0, share=0.0, gap=0.5)
    assert spec.of(20.0, 18.0, 26) == (20.0 - 5.0, 20.0 + 10.0)  # the spread is sqrt(3^2 + 4^2)
    assert spec.of(20.0, 26.0, 18) == spec.of(20.0, 18.0, 26)
    # Of a model that has only one of them, or gave nobody by both, there is no disagreement.
    for density, points in ((18.0, None), (None, 26), (None, None), (0.0, 0)):
        assert spec.of(20.0, density, points) == (17.0, 26.0) == spec.around(20.0)
        assert spec.difference(density, points) == 0
    assert spec.difference(18.0, 26) == -8


def test_interval_survives(make_manifest: Callable[..., Manifest]) -> None:
    interval = IntervalSpec(0.9, 1.5, 2.0, 0.5, 0.25, 0.125, 0.75)
    made = dataclasses.replace(make_manifest(), postprocess=PostprocessSpec(interval=interval))
    assert Manifest.from_json(made.to_json()) == made


def test_postprocess_may_be_left_out(data: dict[str, Any]) -> None:
    data["postprocess"] = None
    assert Manifest.from_dict(data).postprocess == PostprocessSpec()
    del data["postprocess"]
    assert Manifest.from_dict(data).postprocess == PostprocessSpec()


def test_output_by_role(manifest: Manifest) -> None:
    heatmap = manifest.output("heatmap")
    assert heatmap is not None
    assert heatmap.name == "heat"
    assert manifest.output("size") is None


def change(data: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        data = data[int(key)] if isinstance(data, list) else data[key]
    data[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("name", 7, "name: expected a text, got 7"),
        ("name", "", "name: expected the model's name"),
        ("input", None, "input: expected keys and values, got None"),
        ("input.channels", "GBR", "input.channels: expected RGB or BGR, got 'GBR'"),
        ("input.mean", [1, 2], "input.mean: expected a list of 3 numbers"),
        ("input.mean", [1, 2, None], "input.mean: expected a number"),
        ("input.scale", [1, 0, 1], "input.scale: expected three numbers other than 0"),
        ("input.scale", [1, float("nan"), 1], "input.scale: expected a finite number"),
        ("input.multiple", 32.0, "input.multiple: expected a whole number"),
        ("input.multiple", 12, "input.multiple: expected a multiple of the stride 8"),
        ("input.max_side", 0, "input.max_side: expected a number of pixels"),
        ("input.max_side", True, "input.max_side: expected a whole number"),
        ("input.static_size", [100, 200], "input.static_size: expected multiples of 32"),
        (
            "input.static_size",
            [64],
            "input.static_size: expected a list of 2 whole numbers or null",
        ),
        ("input.static_size", [0, 64], "input.static_size: expected .height, width."),
        ("outputs", {}, "outputs: expected a list"),
        ("outputs.1.stride", "4", r"outputs\[1\].stride: expected a whole number, got '4'"),
        ("outputs", [], "outputs: expected a density, a heatmap, or both"),
        (
            "outputs.0.role",
            "dots",
            r"outputs\[0\].role: expected density, heatmap, offset, size, scores or boxes",
        ),
        ("outputs.0.unit", 0, "outputs.density.unit: expected a number above 0"),
        ("outputs.0.stride", 0, "outputs.density.stride: expected a number of pixels"),
        ("outputs.0.stride", 2, "outputs.density.stride: expected a multiple of the heatmap's"),
        ("outputs.2.stride", 8, "outputs.shift.stride: expected the heatmap's 4"),
        ("outputs.1.role", "size", "outputs: expected a heatmap beside the"),
        ("outputs.1.role", "density", "outputs: expected outputs of different roles"),
        ("outputs.1.name", "density", "outputs: expected outputs of different names"),
        ("postprocess.window", 4, "postprocess.window: expected 3, 5 or 7"),
        ("postprocess.threshold", 1, r"postprocess.threshold: expected a number in \[0, 1\)"),
        ("postprocess.fusion.low", 5, "postprocess.fusion: expected 0 <= low <= high"),
        ("postprocess.fusion.cell", 0, "postprocess.fusion.cell: expected a number of pixels"),
        ("postprocess.fusion.cell", 20, "postprocess.fusion.cell: expected a multiple of the"),
        ("postprocess.fusion.grid", 1, "fusion.grid: expected 0, or a number from 2 to 64, got 1"),
        ("training", [], "training: expected keys and values"),
        ("input.colour", 1, "input.colour: unknown key; .*made by a newer edgecount"),
        ("format", 2, "made by a newer edgecount"),
        ("format", "1", "format: expected a whole number, got '1'"),
    ],
)
def test_refuses(data: dict[str, Any], path: str, value: Any, message: str) -> None:
    change(data, path, value)
    with pytest.raises(ModelError, match=message):
        Manifest.from_dict(data)


@pytest.mark.parametrize(
    "field",
    ["format", "name", "version", "input", "outputs", "input.mean", "postprocess.window"],
)
def test_missing_field_is_named(data: dict[str, Any], field: str) -> None:
    *parents, last = field.split(".")
    del (data[parents[0]] if parents else data)[last]
    with pytest.raises(ModelError, match=f"manifest field {field} is missing"):
        Manifest.from_dict(data)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"'])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="manifest"):
        Manifest.from_json(text)


def test_is_checked_when_made() -> None:
    with pytest.raises(ModelError, match=r"postprocess.fusion"):
        FusionSpec(low=3.0, high=2.0)
    with pytest.raises(ModelError, match="heatmap beside"):
        Manifest(
            "m", "1", "", InputSpec(), (OutputSpec("o", "offset", 4), OutputSpec("d", "density", 8))
        )


def test_json_is_plain(manifest: Manifest) -> None:
    parsed = json.loads(manifest.to_json())
    assert parsed["format"] == 1
    assert parsed["outputs"][0] == {
        "name": "density",
        "role": "density",
        "stride": 8,
        "unit": 100.0,
    }


def test_a_grid_is_left_out_where_there_is_none(manifest: Manifest) -> None:
    """Older releases refuse what they do not know."""
    fusion = FusionSpec(64, 1.0, 4.0, grid=4)
    post = dataclasses.replace(manifest.postprocess, fusion=fusion)
    gridded = dataclasses.replace(manifest, postprocess=post)
    assert gridded.to_dict()["postprocess"]["fusion"]["grid"] == 4
    assert Manifest.from_json(gridded.to_json()) == gridded
    post = dataclasses.replace(post, fusion=FusionSpec(64, 1.0, 4.0))
    plain = dataclasses.replace(manifest, postprocess=post)
    assert "grid" not in plain.to_dict()["postprocess"]["fusion"]
    assert Manifest.from_json(plain.to_json()) == plain


def test_static_size_survives(data: dict[str, Any]) -> None:
    change(data, "input.static_size", [256, 512])
    manifest = Manifest.from_dict(data)
    assert manifest.input.static_size == (256, 512)
    assert Manifest.from_json(manifest.to_json()) == manifest


@pytest.mark.parametrize("path", MODEL_FILES, ids=lambda path: path.stem)
def test_the_manifests_of_our_models_are_written_as_they_were_read(path: Path) -> None:
    text = read_metadata(path)[METADATA_KEY]
    assert Manifest.from_json(text).to_json() == text


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("input", "min_side"), 2**40, r"input\.min_side: expected .* from 1 to 4096, got 109951"),
        (("input", "min_side"), 100_000, r"input\.min_side: expected .* from 1 to 4096"),
        (("input", "multiple"), 2**20, r"input\.multiple: expected .* from 1 to 4096"),
        (("input", "max_side"), 2**40, r"input\.max_side: expected .* from 1 to 2147483647"),
        (("input", "static_size"), [2**20, 32], r"input\.static_size: expected .* up to 16384"),
        (("input", "mean"), [1e308, 0.0, 0.0], r"input\.mean: expected three numbers up to 65536"),
        (("input", "scale"), [1.0, 1e-320, 1.0], r"input\.scale.* from 1e-06 to 1e\+06"),
        (("outputs", 0, "unit"), 1e-320, r"unit: expected .* from 1e-06 to 1e\+09, got 1e-320"),
        (("outputs", 0, "stride"), 10**400, r"stride: expected .*, got 1000000.*\.\.\..*0000"),
        (("postprocess", "threshold"), 10**400, "threshold: expected a finite number, got 1000"),
    ],
)
def test_numbers_beyond_all_models(
    data: dict[str, Any], place: tuple[Any, ...], value: Any, message: str
) -> None:
    *path, last = place
    inside: Any = data
    for key in path:
        inside = inside[key]
    inside[last] = value
    with pytest.raises(ModelError, match=f"^manifest field .*{message}") as caught:
        Manifest.from_json(json.dumps(data))
    assert len(str(caught.value)) < 200


def test_a_threshold_of_minus_zero_is_zero() -> None:
    assert str(PostprocessSpec(threshold=-0.0).threshold) == "0.0"


def test_a_text_with_half_a_character_is_refused(data: dict[str, Any]) -> None:
    data["name"] = "\ud800"
    with pytest.raises(ModelError, match="half a character"):
        Manifest.from_json(json.dumps(data))


def detector(*outputs: OutputSpec, **post: Any) -> Manifest:
    return Manifest(
        name="detector",
        version="1",
        description="",
        input=InputSpec(),
        outputs=outputs,
        postprocess=PostprocessSpec(**post),
    )


PAIRS = (
    OutputSpec("scores_16", "scores", 16, anchors=3),
    OutputSpec("boxes_8", "boxes", 8),
    OutputSpec("boxes_16", "boxes", 16, anchors=3),
    OutputSpec("scores_8", "scores", 8),
)


def test_a_detector_survives_and_gives_its_levels_finest_first() -> None:
    made = detector(*PAIRS, nms_iou=0.25)
    assert Manifest.from_json(made.to_json()) == made
    assert made.levels() == ((PAIRS[3], PAIRS[1]), (PAIRS[0], PAIRS[2]))
    assert [output.channels for output in made.outputs] == [3, 4, 12, 1]


def test_older_releases_can_read_models_without_boxes(manifest: Manifest) -> None:
    data = manifest.to_dict()
    assert "nms_iou" not in data["postprocess"]
    assert not any("anchors" in output for output in data["outputs"])
    assert manifest.levels() == ()


def test_a_detector_writes_its_iou() -> None:
    data = detector(*PAIRS).to_dict()
    assert data["postprocess"]["nms_iou"] == 0.5
    assert [output.get("anchors") for output in data["outputs"]] == [3, None, 3, None]


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (PAIRS[:3], "one output of scores and one of boxes of stride 8, got .*boxes"),
        ((*PAIRS, OutputSpec("s", "scores", 8)), "one output of scores and one of boxes of stri"),
        ((*PAIRS, OutputSpec("d", "density", 8)), "scores and boxes without outputs of other"),
        ((*PAIRS, OutputSpec("d", "heatmap", 4)), "scores and boxes without outputs of other"),
        ((PAIRS[3], OutputSpec("b", "boxes", 8, anchors=2)), "equal anchors of scores_8 and b"),
        ((PAIRS[3], OutputSpec("b", "boxes", 48)), "one output of scores and one of boxes"),
        ((OutputSpec("a", "scores", 48), OutputSpec("b", "boxes", 48)), "multiple of the stride"),
    ],
)
def test_a_detector_is_refused(outputs: tuple[OutputSpec, ...], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        detector(*outputs)


@pytest.mark.parametrize(("role", "anchors"), [("density", 2), ("scores", 0), ("boxes", 65)])
def test_anchors_are_refused(role: Any, anchors: int) -> None:
    with pytest.raises(ModelError, match=r"outputs\.x\.anchors: expected 1"):
        OutputSpec("x", role, 8, anchors=anchors)


@pytest.mark.parametrize("iou", [-0.1, 1.5, float("nan")])
def test_iou_is_refused(iou: float) -> None:
    with pytest.raises(ModelError, match=r"postprocess\.nms_iou: expected a number in \[0, 1\]"):
        PostprocessSpec(nms_iou=iou)


FUSION = FusionSpec(64, 1.0, 4.0)
DENSITY, HEATMAP = OutputSpec("d", "density", 8), OutputSpec("h", "heatmap", 4)
UNSURE = IntervalSpec(0.9, 1.0, 1.0, 1.0, 0.0, 0.0, gap=0.5)


@pytest.mark.parametrize(
    ("outputs", "post", "message"),
    [
        (PAIRS, {"fusion": FUSION}, "fusion: expected null, as .* are scores, boxes, got Fusion"),
        ((DENSITY,), {"fusion": FUSION}, "fusion: expected null, as it blends a density and a "),
        ((HEATMAP,), {"fusion": FUSION}, "fusion: expected null, .* the outputs are heatmap, got"),
        (PAIRS, {"window": 5}, "window: expected 3, as only a heatmap has peaks, and .*, got 5"),
        ((DENSITY,), {"window": 5}, "window: expected 3, as only a heatmap has peaks"),
        ((DENSITY,), {"threshold": 0.3}, "threshold: expected 0.4, as it is of peaks .*, got 0.3"),
        ((DENSITY, HEATMAP), {"nms_iou": 0.3}, "nms_iou: expected 0.5, as only boxes .*, got 0.3"),
        (PAIRS, {"interval": UNSURE}, "interval.gap: expected 0, as only a density .*, got 0.5"),
        ((DENSITY,), {"interval": UNSURE}, "interval.gap: expected 0"),
    ],
)
def test_postprocessing_that_has_no_use_is_refused(
    outputs: tuple[OutputSpec, ...], post: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=f"^manifest field postprocess.{message}"):
        detector(*outputs, **post)
    data = detector(*outputs).to_dict()
    data["postprocess"] |= json.loads(json.dumps(dataclasses.asdict(PostprocessSpec(**post))))
    with pytest.raises(ModelError, match=f"postprocess.{message}"):
        Manifest.from_dict(data)


def test_postprocessing_that_has_a_use_is_taken() -> None:
    both = {"window": 5, "threshold": 0.3, "fusion": FUSION, "interval": UNSURE}
    alone = dataclasses.replace(UNSURE, gap=0.0)
    for made in (
        detector(DENSITY, HEATMAP, **both),
        detector(HEATMAP, window=7, threshold=0.2, interval=alone),
        detector(*PAIRS, threshold=0.2, nms_iou=0.3, interval=alone),
        detector(DENSITY, interval=alone),
    ):
        assert Manifest.from_json(made.to_json()) == made


@pytest.mark.parametrize("role", ["heatmap", "offset", "size", "scores", "boxes"])
def test_only_a_density_has_a_unit(role: Any) -> None:
    message = rf"outputs\.x\.unit: expected 1, as the {role} holds no people, got 100"
    with pytest.raises(ModelError, match=message):
        OutputSpec("x", role, 8, unit=100.0)
