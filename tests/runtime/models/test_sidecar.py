"""The file beside an engine: round trip, damage, and engines that do not fit."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from edgecount.errors import ConfigError, ModelError
from edgecount.runtime.cuda.driver import Device, Driver
from edgecount.runtime.models.sidecar import (
    EngineSidecar,
    InputShapes,
    mismatches,
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
    )


def found(sidecar, version="10.3.0", gpu="Orin", capability="8.7", cuda="12.6"):
    """Return why an engine does not fit a machine; by default the one where it was built."""
    driver = Driver(cuda, [Device(gpu, capability, 2**33, 8)])
    return mismatches(sidecar, version, driver)


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
    for name in whole:
        rest = {key: value for key, value in whole.items() if key != name}
        with pytest.raises(ModelError, match=name):
            EngineSidecar.from_json(json.dumps(rest))


def test_an_engine_fits_where_it_was_built(sidecar):
    assert found(sidecar) == []


@pytest.mark.parametrize(
    ("change", "both"),
    [
        ({"version": "10.13.3"}, ("built by 10.3.0", "here is 10.13.3")),
        ({"version": "10.3.0.1"}, ("built by 10.3.0", "here is 10.3.0.1")),
        ({"capability": "11.0", "gpu": "Thor"}, ("for 8.7 (Orin with", "11.0 (Thor with")),
        ({"gpu": "Orin NX"}, ("built on Orin", "here is Orin NX")),
        ({"cuda": "12.2"}, ("CUDA 12.6", "here is CUDA 12.2")),
    ],
)
def test_each_mismatch_names_both_sides(sidecar, change, both):
    (line,) = found(sidecar, **change)
    assert all(side in line for side in both)


def test_all_mismatches_are_reported(sidecar):
    assert len(found(sidecar, "8.6.2", "Xavier", "7.2", "11.4")) == 3


def test_a_newer_driver_is_no_mismatch(sidecar):
    assert found(sidecar, cuda="13.0") == []


def test_version_compatible_engines_run_on_newer_versions_only(sidecar):
    made = replace(sidecar, options={"version_compatible": True})
    assert found(made, version="11.4.0.106") == []
    assert found(made, version="10.13.3.9.post1") == []
    (line,) = found(made, version="8.6.1")
    assert "by 10.3.0 for that or a newer one, here is 8.6.1" in line


def test_hardware_compatible_engines_run_on_newer_gpus_only(sidecar):
    made = replace(sidecar, compute_capabilities=("8.0+",))
    assert found(made, capability="8.9", gpu="Ada") == []
    assert found(made, capability="12.0", gpu="Blackwell") == []
    (line,) = found(made, capability="7.5", gpu="Turing")
    assert "for 8.0+ (Orin with 8 multiprocessors), here is 7.5 (Turing with" in line


def test_rtx_engines_run_on_each_gpu_they_were_built_for(sidecar):
    made = replace(
        sidecar,
        backend="tensorrt-rtx",
        compute_capabilities=("8.6", "8.9"),
        device=None,
        driver=None,
    )
    here = {"gpu": "RTX 4090", "capability": "8.9"}
    assert found(made, **here) == []
    assert found(replace(made, device="RTX 4070", driver="13.0"), **here)  # an older driver
    (line,) = found(made, capability="12.0", gpu="RTX 5090")
    assert "for 8.6, 8.9, here is 12.0 (RTX 5090 with" in line


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
