"""Engines that are asked for, checked before the long work."""

import dataclasses
from pathlib import Path

import pytest
from graphs import small_manifest, small_model

from edgecount.errors import BackendError, ConfigError, EdgeCountError
from edgecount.export.options import ExportOptions
from edgecount.export.tensorrt.build import EngineOptions, check_network
from edgecount.export.tensorrt.choose import choose_engines
from edgecount.runtime.backends.tensorrt.library import load_tensorrt

SPEC = small_manifest().input
RANGE = ((64, 64), (64, 96), (128, 128))


def need_rtx():
    try:
        load_tensorrt("tensorrt-rtx")
    except EdgeCountError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("batch", [0, 1025, 100_000_000])
def test_a_batch_has_limits(batch):
    with pytest.raises(ConfigError, match=f"^batch: expected 1 to 1024 frames, got {batch}"):
        ExportOptions(batch=batch)


def test_more_memory_than_there_can_be_is_refused():
    with pytest.raises(ConfigError, match=r"^workspace: expected at most 1048576 MiB"):
        EngineOptions("tensorrt", workspace=99_999_999_999_999)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dla_core": 0}, "^dla_core: TensorRT for RTX knows no accelerators"),
        (
            {"engine": EngineOptions("tensorrt-rtx", timing_cache=Path("times"))},
            "^timing_cache: TensorRT for RTX measures nothing",
        ),
    ],
)
def test_what_rtx_does_not_have_is_said_at_once(options, message):
    with pytest.raises(ConfigError, match=message):
        choose_engines(SPEC, ExportOptions(target="tensorrt-rtx", **options), print)


def test_a_range_of_sizes_for_a_model_of_one():
    fixed = dataclasses.replace(SPEC, static_size=(64, 96))
    with pytest.raises(ConfigError, match=r"^profile: the model takes one size, 64x96"):
        choose_engines(fixed, ExportOptions(target="tensorrt-rtx", profile=RANGE), print)


def test_a_range_of_sizes_without_an_engine(monkeypatch):
    with pytest.raises(ConfigError, match=r"^profile: expected with an engine"):
        choose_engines(SPEC, ExportOptions(target="onnx", profile=RANGE), print)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    engine = EngineOptions("tensorrt", workspace=64)
    options = ExportOptions(target="auto", profile=RANGE, engine=engine)
    warnings = []
    assert choose_engines(SPEC, options, warnings.append)[0] == []
    assert warnings[0].startswith("`profile`, `workspace` did nothing: no engine is built, because")


def test_operators_that_tensorrt_lacks_are_named_before_the_conversions():
    need_rtx()
    model = small_model()
    plans, _ = choose_engines(SPEC, ExportOptions(target="tensorrt-rtx", fp16=True), print)
    check_network(model, plans)
    model.graph.node[1].op_type = "Bernoulli"
    del model.graph.node[1].input[1:]
    with pytest.raises(BackendError, match=r"cannot run model\.onnx: .*Bernoulli.*`target=onnx`"):
        check_network(model, plans)
    check_network(model, [])


def test_a_fixed_batch_is_found_before_the_conversions():
    need_rtx()
    model = small_model()
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    plans, _ = choose_engines(SPEC, ExportOptions(target="tensorrt-rtx", batch=4), print)
    with pytest.raises(ConfigError, match=r"^shapes: expected \(1, 3, -1, -1\)"):
        check_network(model, plans)
