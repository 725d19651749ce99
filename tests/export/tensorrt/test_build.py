"""Engines of TensorRT for RTX, built ahead of time: no GPU is needed, and none is used."""

from __future__ import annotations

import hashlib
import logging
import os
import resource
import signal
from pathlib import Path

import pytest

onnx = pytest.importorskip("onnx")

from engine_graphs import FLOAT, HALF, conv, write_graph  # noqa: E402
from onnx import helper  # noqa: E402

from edgecount.errors import (  # noqa: E402
    BackendError,
    ConfigError,
    EdgeCountError,
    ModelError,
    OutputError,
)
from edgecount.export.tensorrt.build import EngineOptions, build_engine  # noqa: E402
from edgecount.export.tensorrt.record import make_sidecar, write_sidecar  # noqa: E402
from edgecount.runtime.backends.tensorrt.library import load_tensorrt  # noqa: E402
from edgecount.runtime.cuda.driver import probe_driver  # noqa: E402
from edgecount.runtime.models.sidecar import InputShapes, read_sidecar  # noqa: E402

try:
    TRT = load_tensorrt("tensorrt-rtx")
except EdgeCountError as missing:
    pytest.skip(str(missing), allow_module_level=True)

DYNAMIC = ["B", 3, "H", "W"]
SHAPES = InputShapes((1, 3, 64, 64), (1, 3, 64, 64), (2, 3, 128, 128))


@pytest.fixture
def files(tmp_path):
    """(the ONNX to write, the plan to build): a folder that holds nothing else."""
    (tmp_path / "out").mkdir()
    return tmp_path / "model.onnx", tmp_path / "out" / "model.engine"


def rtx(precision="fp32", shapes=None, **options):
    return EngineOptions("tensorrt-rtx", precision, shapes, **options)


@pytest.mark.parametrize(
    ("first", "second", "asked", "layers"),
    [
        ("fp32", "fp32", "fp32", {"fp32": 2}),
        ("fp16", "fp16", "fp16", {"fp16": 2}),
        ("int8", "fp32", "int8", {"fp32": 1, "int8": 1}),
        ("int8-fp16", "fp16", "int8", {"fp16": 1, "int8": 1}),
    ],
)
def test_the_record_tells_what_was_built(files, first, second, asked, layers):
    source, plan = files
    write_graph(source, first, second)
    record = build_engine(source, plan, rtx(asked))
    assert record.layers == layers
    assert record.typed
    assert record.size == plan.stat().st_size > 10_000
    assert record.sha256 == hashlib.sha256(plan.read_bytes()).hexdigest()
    assert record.onnx_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert record.version == TRT.__version__
    # What RTX 1.7 builds for, less Turing, and what comes later ("CPU-Only AOT" of its docs)
    assert record.compute_capabilities == ("8.0", "8.6", "8.9", "12.0", "12.1+")
    assert record.platform is None  # its engines run on Windows and Linux alike
    assert record.tensors == (
        ("image", "input", "float32", (1, 3, 64, 64)),
        ("density", "output", "float32", (1, 4, 64, 64)),
    )
    assert record.shapes == InputShapes.static((1, 3, 64, 64))
    assert record.seconds > 0
    if isinstance(probe_driver(), str):
        assert (record.device, record.driver, record.engine_layers) == (None, None, None)
    assert [path.name for path in plan.parent.iterdir()] == ["model.engine"]


@pytest.mark.parametrize(
    ("kind", "asked", "found"),
    [
        ("fp32", "fp16", "2 layers in fp32"),
        ("fp32", "int8", "2 layers in fp32"),
        ("fp16", "fp32", "2 layers in fp16"),
        ("fp16", "int8", "2 layers in fp16"),
        ("int8", "fp16", "2 layers in int8"),
        ("int8", "fp32", "2 layers in int8"),
    ],
)
def test_a_graph_of_another_precision_is_refused(files, kind, asked, found):
    source, plan = files
    write_graph(source, kind, kind)
    with pytest.raises(BackendError, match=f"asked for {asked}, .* has {found}: .*ask for the"):
        build_engine(source, plan, rtx(asked))
    assert not plan.exists()


@pytest.mark.parametrize(("kind", "half"), [("fp32", False), ("fp16", True)])
def test_the_plan_has_the_types_of_the_graph(files, kind, half):
    """The text of its kernels says so, without a GPU: TensorRT kept what the proof relies on."""
    source, plan = files
    write_graph(source, kind, kind)
    build_engine(source, plan, rtx(kind))
    assert (b"type=half" in plan.read_bytes()) == half


def test_layers_left_in_fp32_are_counted(files):
    source, plan = files
    kept = conv("one", "image", "a", precision="fp32")
    nodes, tensors = conv("two", "b", "c", precision="fp16")
    graph = helper.make_graph(
        [
            *kept[0],
            helper.make_node("Cast", ["a"], ["b"], to=HALF),
            *nodes,
            helper.make_node("Cast", ["c"], ["density"], to=FLOAT),
        ],
        "kept",
        [helper.make_tensor_value_info("image", FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("density", FLOAT, None)],
        kept[1] + tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, source)
    assert build_engine(source, plan, rtx("fp16")).layers == {"fp16": 1, "fp32": 1}


def test_dynamic_shapes_need_a_profile_that_fits(files):
    source, plan = files
    write_graph(source, "fp32", "fp32", shape=DYNAMIC)
    record = build_engine(source, plan, rtx(shapes=SHAPES))
    assert record.tensors[0].shape == (-1, 3, -1, -1)
    assert record.shapes == SHAPES
    plan.unlink()
    with pytest.raises(ConfigError, match=r"shapes: .*image is dynamic .*got none"):
        build_engine(source, plan, rtx())
    grey = InputShapes.static((1, 1, 64, 64))
    with pytest.raises(ConfigError, match=r"shapes: expected \(-1, 3, -1, -1\).*got \(1, 1, 64"):
        build_engine(source, plan, rtx(shapes=grey))
    assert not plan.exists()


def test_a_static_graph_refuses_other_shapes(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    fits = InputShapes.static((1, 3, 64, 64))
    assert build_engine(source, plan, rtx(shapes=fits)).shapes == fits
    with pytest.raises(ConfigError, match=r"shapes: expected .*another `batch`"):
        build_engine(source, plan, rtx(shapes=SHAPES))


def test_several_compute_capabilities_in_one_plan(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    one = build_engine(source, plan, rtx(compute_capabilities=("8.9",)))
    assert one.compute_capabilities == ("8.9",)
    assert b"sm89" in plan.read_bytes()
    assert b"sm120" not in plan.read_bytes()
    two = build_engine(source, plan, rtx(compute_capabilities=("89", "SM_120", "8.9")))
    assert two.compute_capabilities == ("8.9", "12.0")
    assert b"sm89" in plan.read_bytes()
    assert b"sm120" in plan.read_bytes()


@pytest.mark.parametrize(
    ("given", "reason"), [("9.0", "no kernels"), ("87", "Jetson"), ("newest", "no kernels")]
)
def test_a_capability_that_is_not_offered_is_refused_with_the_list(files, given, reason):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    with pytest.raises(
        ConfigError, match=rf"expected some of 7\.5, 8\.0, .*got '{given}'.*{reason}"
    ):
        build_engine(source, plan, rtx(compute_capabilities=("8.9", given)))


@pytest.mark.parametrize("option", ["hardware_compatible", "same_capability", "version_compatible"])
def test_rtx_refuses_what_it_does_not_have(files, option):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    with pytest.raises(ConfigError, match=f"^{option}: TensorRT for RTX does not have it"):
        build_engine(source, plan, rtx(**{option: True}))


def test_an_accelerator_that_is_not_there_is_refused(files):
    source, plan = files
    write_graph(source, "fp16", "fp16")
    with pytest.raises(BackendError, match=r"dla_core: .* which are 0, got 1"):
        build_engine(source, plan, rtx("fp16", dla_core=1))


def test_every_unsupported_operator_and_its_nodes_are_named(files):
    source, plan = files
    write_graph(source, "fp32", "fp32", before_output="Bernoulli")
    with pytest.raises(BackendError, match=r"cannot run .*model\.onnx.*Bernoulli \(odd, odder\)"):
        build_engine(source, plan, rtx())
    assert not plan.exists()


def test_a_half_input_is_refused(files):
    source, plan = files
    model = onnx.load(write_graph(source, "fp16", "fp16"))
    model.graph.input[0].type.tensor_type.elem_type = HALF
    onnx.save(model, source)
    with pytest.raises(ModelError, match=r"expected float32 .*got float16 for the input image"):
        build_engine(source, plan, rtx("fp16"))


def test_the_image_may_be_taken_in_float16(files, caplog):
    source, plan = files
    write_graph(source, "fp16", "fp16")
    record = build_engine(source, plan, rtx("fp16", fp16_input=True))
    assert record.tensors == (
        ("image", "input", "float16", (1, 3, 64, 64)),
        ("density", "output", "float32", (1, 4, 64, 64)),
    )
    assert record.layers == {"fp16": 2}
    assert record.onnx_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert "fp16_input" not in caplog.text


def test_the_image_stays_in_float32_where_a_layer_reads_it_so(files, caplog):
    source, plan = files
    write_graph(source, "int8", "fp32")
    record = build_engine(source, plan, rtx("int8", fp16_input=True))
    assert record.tensors[0].dtype == "float32"
    assert "fp16_input: the engine takes float32" in caplog.text


def test_a_missing_file_is_named(files):
    source, plan = files
    with pytest.raises(ModelError, match=r"cannot read the model .*model\.onnx: No such file"):
        build_engine(source, plan, rtx())


def test_progress_goes_through_every_phase(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    told = []
    build_engine(source, plan, rtx(), progress=lambda *step: told.append(step))
    phases = {phase for phase, _, _ in told}
    assert len(phases) > 3
    for phase in phases:
        steps = [(done, total) for name, done, total in told if name == phase]
        assert steps[0][0] == 0
        assert any(done == total for done, total in steps)
        assert all(0 <= done <= total for done, total in steps)


def test_ctrl_c_ends_the_build_and_leaves_the_old_plan(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    plan.write_bytes(b"older")
    told = []

    def press(phase, done, total):
        told.append(phase)
        if len(told) == 5:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        build_engine(source, plan, rtx(), progress=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(told) < 12
    assert plan.read_bytes() == b"older"
    assert [path.name for path in plan.parent.iterdir()] == ["model.engine"]


def test_an_error_of_the_callback_comes_out_whole(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")

    def fail(phase, done, total):
        raise LookupError(phase)

    with pytest.raises(LookupError, match="Building engine"):
        build_engine(source, plan, rtx(), progress=fail)
    assert not plan.exists()


def test_a_full_disk_leaves_nothing(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(OutputError, match=r"cannot write .*model\.engine"):
            build_engine(source, plan, rtx())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(plan.parent.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_said_before_the_build(files):
    source, _ = files
    write_graph(source, "fp32", "fp32")
    with pytest.raises(OutputError, match="cannot write"):
        build_engine(source, source / "model.engine", rtx())


def test_too_little_workspace_says_what_to_do(files):
    source, plan = files
    shapes = InputShapes((1, 3, 64, 64), (1, 3, 64, 64), (1, 3, 1024, 1024))
    write_graph(source, "fp32", "fp32", shape=DYNAMIC)
    with pytest.raises(BackendError, match="a `workspace` of 1 MiB is too little"):
        build_engine(source, plan, rtx(shapes=shapes, workspace=1))
    assert build_engine(source, plan, rtx(shapes=shapes, workspace=512)).size


def test_rtx_keeps_no_timing_cache(files, tmp_path):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    cache = tmp_path / "times"
    build_engine(source, plan, rtx(timing_cache=cache))
    assert not cache.exists()


def test_tensorrt_speaks_through_logging(files, caplog):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    with caplog.at_level(logging.DEBUG, logger="edgecount.runtime.backends.tensorrt.logger"):
        build_engine(source, plan, rtx())
    assert any("ONNX IR version" in record.message for record in caplog.records)
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_the_sidecar_describes_the_plan(files, make_manifest):
    source, plan = files
    write_graph(source, "fp16", "fp16")
    record = build_engine(source, plan, rtx("fp16", workspace=512))
    manifest = make_manifest(roles=("density",))
    path = write_sidecar(plan, make_sidecar(record, manifest, overridden=True))
    assert path == plan.with_name("model.engine.json")
    sidecar = read_sidecar(plan)
    assert sidecar == make_sidecar(record, manifest, overridden=True)
    assert sidecar.manifest == manifest
    assert sidecar.plan_sha256 == hashlib.sha256(plan.read_bytes()).hexdigest()
    assert sidecar.layers == {"fp16": 2}
    assert sidecar.options["workspace"] == 512
    assert sidecar.overridden


def test_folder_of_the_plan_is_made(files):
    source, plan = files
    write_graph(source, "fp32", "fp32")
    deep = plan.parent / "a" / "b.engine"
    assert build_engine(source, deep, rtx()).path == Path(deep)
    assert deep.is_file()
