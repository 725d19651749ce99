"""The file beside an engine: round trip, damage, and engines that do not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgecount.errors import ConfigError, ModelError
from edgecount.runtime.models.sidecar import (
    EngineSidecar,
    InputShapes,
    read_sidecar,
    sidecar_path,
)

SHAPES = InputShapes((1, 3, 64, 64), (1, 3, 480, 640), (4, 3, 1088, 1920))


@pytest.fixture
def sidecar(make_manifest):
    return EngineSidecar(
        manifest=make_manifest(),
        onnx_sha256="a" * 64,
        plan_sha256="b" * 64,
        precision="fp16",
        shapes=SHAPES,
        backend="tensorrt",
        version="10.3.0",
        compute_capabilities=("8.7",),
        created_by="0.2.0",
        device="Orin with 8 multiprocessors",
        driver="12.6",
        layers={"fp16": 20, "fp32": 2},
        options={"workspace": 1024, "version_compatible": False},
        overridden=True,
        platform="jetson",
    )


def test_round_trip_beside_the_plan(sidecar, tmp_path):
    plan = tmp_path / "model.engine"
    assert sidecar_path(plan) == tmp_path / "model.engine.json"
    sidecar_path(plan).write_text(sidecar.to_json())
    assert read_sidecar(plan) == sidecar
    built_ahead = replace(sidecar, device=None, driver=None)
    assert EngineSidecar.from_json(built_ahead.to_json()) == built_ahead


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read .*model\.engine\.json: No such file"):
        read_sidecar(tmp_path / "model.engine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "expected format 1, got 2"),
        ({"precision": "fp8"}, "field precision: expected fp32, fp16 or int8, got 'fp8'"),
        ({"backend": "cuda"}, "field backend: expected tensorrt or tensorrt-rtx, got 'cuda'"),
        ({"version": 10.3}, "field version: expected a text, got 10.3"),
        ({"overridden": 1}, "field overridden: expected true or false, got 1"),
        ({"compute_capabilities": "8.7"}, "field compute_capabilities: expected a list of texts"),
        ({"compute_capabilities": [8.7]}, "field compute_capabilities: expected a text, got 8.7"),
        ({"device": 0}, "field device: expected a text or null, got 0"),
        ({"platform": 1}, "field platform: expected a text or null, got 1"),
        ({"shapes": {"min": [1, 3, 64, 64]}}, "field shapes.opt is missing"),
        (
            {"shapes": {"min": [1], "opt": [1], "max": [1]}},
            "field shapes.min: expected a list of 4 whole numbers",
        ),
        (
            {"shapes": {"min": [0, 3, 64, 64], "opt": [1, 3, 64, 64], "max": [1, 3, 64, 64]}},
            "field shapes.min: expected four whole numbers above 0",
        ),
        ({"shapes": {"min": 1, "opt": 1, "max": 1}}, "field shapes.min: expected a list of 4"),
        ({"manifest": {}}, "manifest field format is missing"),
        ({"colour": "red"}, "field colour: unknown key; .* made by a newer edgecount"),
    ],
)
def test_a_damaged_field_is_named(sidecar, tmp_path, change, message):
    plan = tmp_path / "model.engine"
    sidecar_path(plan).write_text(json.dumps(json.loads(sidecar.to_json()) | change))
    with pytest.raises(ModelError, match=rf"model\.engine\.json: .*{message}"):
        read_sidecar(plan)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff"])
def test_what_is_no_sidecar_is_refused(tmp_path, text):
    plan = tmp_path / "model.engine"
    sidecar_path(plan).write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"model\.engine\.json"):
        read_sidecar(plan)


def test_every_field_is_needed(sidecar):
    whole = json.loads(sidecar.to_json())
    for name in whole.keys() - {"platform"}:
        rest = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(ModelError, match=name):
            EngineSidecar.from_json(json.dumps(rest))


def test_a_sidecar_of_before_platforms_can_be_read(sidecar):
    older = json.loads(sidecar.to_json())
    del older["platform"]
    assert EngineSidecar.from_json(json.dumps(older)) == replace(sidecar, platform=None)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((1, 3, 64), (1, 3, 64), (1, 3, 64)), "shapes.min: expected four whole numbers"),
        (((1, 3, 0, 64),) * 3, "shapes.min"),
        (((1, 3, 64.0, 64),) * 3, "shapes.min"),
        (((1, 3, 64, 64), (1, 3, 32, 64), (1, 3, 64, 64)), "min <= opt <= max"),
        (((1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 64, 32)), "min <= opt <= max"),
    ],
)
def test_shapes_that_make_no_sense(shapes, message):
    with pytest.raises(ConfigError, match=message):
        InputShapes(*shapes)


def test_static_shapes():
    assert InputShapes.static((1, 3, 64, 64)).is_static
    assert not SHAPES.is_static
