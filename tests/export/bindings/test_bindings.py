"""Builder and backend use nothing that some version of TensorRT lacks, unless they look first."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest
import standin_tensorrt
from tensorrt_versions import ABSENT, VERSIONS

from edgecount.export.tensorrt import build
from edgecount.runtime.backends.tensorrt import backend
from edgecount.runtime.backends.tensorrt.library import Features
from edgecount.runtime.cuda.driver import probe_driver


class Use(NamedTuple):
    """Something of TensorRT that the builder or the backend uses.

    Attributes:
        name: "Class.attribute" or "Enumeration.MEMBER".
        parameters: of a method, in the order in which they are given.
        feature: without this one it is not used, and not there.
        elsewhere: some have it without the feature too.
    """

    name: str
    parameters: tuple[str, ...] = ()
    feature: str | None = None
    elsewhere: bool = False


USES = (
    Use("Builder.__init__", ("logger",)),
    Use("OnnxParser.__init__", ("network", "logger")),
    Use("Runtime.__init__", ("logger",)),
    Use("Builder.build_serialized_network", ("network", "config")),
    Use("Builder.create_builder_config"),
    Use("Builder.create_network", ("flags",)),
    Use("Builder.create_optimization_profile"),
    Use("Builder.num_DLA_cores"),
    Use("BuilderFlag.FP16", feature="precision_flags"),
    Use("BuilderFlag.GPU_FALLBACK"),
    Use("BuilderFlag.INT8", feature="precision_flags"),
    Use("BuilderFlag.PREFER_PRECISION_CONSTRAINTS", feature="precision_flags"),
    Use("BuilderFlag.VERSION_COMPATIBLE", feature="version_compatibility"),
    Use("ComputeCapability.__members__", feature="compute_capabilities"),
    Use("DataType.FLOAT"),
    Use("DataType.HALF"),
    Use("DeviceType.DLA"),
    Use("EngineInspector.get_engine_information", ("format",)),
    Use("EngineInvalidityDiagnostics.__members__", feature="engine_validity"),
    Use("ExecutionContextAllocationStrategy.USER_MANAGED", (), "context_memory"),
    Use("HardwareCompatibilityLevel.AMPERE_PLUS", feature="hardware_compatibility"),
    Use("HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY", feature="same_capability"),
    Use("IBuilderConfig.DLA_core", feature="dla"),
    Use("IBuilderConfig.add_optimization_profile", ("profile",)),
    Use("IBuilderConfig.can_run_on_DLA", ("layer",)),
    Use("IBuilderConfig.create_timing_cache", ("serialized_timing_cache",), "timing_cache"),
    Use("IBuilderConfig.default_device_type"),
    Use("IBuilderConfig.get_preview_feature", ("feature",)),
    Use("IBuilderConfig.get_timing_cache", (), "timing_cache"),
    Use("IBuilderConfig.hardware_compatibility_level", feature="hardware_compatibility"),
    Use("IBuilderConfig.num_compute_capabilities", feature="compute_capabilities"),
    Use("IBuilderConfig.profiling_verbosity"),
    Use("IBuilderConfig.progress_monitor", feature="progress_monitor"),
    Use(
        "IBuilderConfig.set_compute_capability",
        ("compute_capability", "index"),
        "compute_capabilities",
    ),
    Use("IBuilderConfig.set_flag", ("flag",)),
    Use("IBuilderConfig.set_preview_feature", ("feature", "enable")),
    Use("IBuilderConfig.set_memory_pool_limit", ("pool", "pool_size")),
    Use("IBuilderConfig.set_timing_cache", ("cache", "ignore_mismatch"), "timing_cache"),
    Use("ICudaEngine.create_engine_inspector", (), "inspector"),
    Use("ICudaEngine.create_execution_context"),
    Use("ICudaEngine.create_runtime_config", (), "runtime_cache", elsewhere=True),
    Use("ICudaEngine.device_memory_size_v2", (), "context_memory"),
    Use("ICudaEngine.get_tensor_dtype", ("name",)),
    Use("ICudaEngine.get_tensor_mode", ("name",)),
    Use("ICudaEngine.get_tensor_name", ("index",)),
    Use("ICudaEngine.get_tensor_profile_shape", ("name", "profile_index")),
    Use("ICudaEngine.get_tensor_shape", ("name",)),
    Use("ICudaEngine.num_io_tensors"),
    Use("IExecutionContext.execute_async_v3", ("stream_handle",)),
    Use("IExecutionContext.get_tensor_shape", ("name",)),
    Use("IExecutionContext.active_optimization_profile"),
    Use("IExecutionContext.infer_shapes"),
    Use("IExecutionContext.set_optimization_profile_async", ("profile_index", "stream_handle")),
    Use("IExecutionContext.is_stream_capturable", ("stream",), "capture_query"),
    Use("IExecutionContext.set_device_memory", ("memory", "size"), "context_memory"),
    Use("IExecutionContext.set_input_shape", ("name", "shape")),
    Use("IExecutionContext.set_tensor_address", ("name", "memory")),
    Use("IExecutionContext.update_device_memory_size_for_shapes", (), "context_memory"),
    Use("ILayer.get_input", ("index",)),
    Use("ILayer.get_output", ("index",)),
    Use("ILayer.get_output_type", ("index",)),
    Use("ILayer.name"),
    Use("ILayer.num_inputs"),
    Use("ILayer.num_outputs"),
    Use("ILayer.precision", feature="precision_flags"),
    Use("ILayer.type"),
    Use("ILogger.log", ("severity", "msg")),
    Use("INetworkDefinition.get_input", ("index",)),
    Use("INetworkDefinition.get_layer", ("index",)),
    Use("INetworkDefinition.get_output", ("index",)),
    Use("INetworkDefinition.num_inputs"),
    Use("INetworkDefinition.num_layers"),
    Use("INetworkDefinition.num_outputs"),
    Use("IOptimizationProfile.set_shape", ("input", "min", "opt", "max")),
    Use("IProgressMonitor.phase_finish", ("phase_name",), "progress_monitor"),
    Use(
        "IProgressMonitor.phase_start",
        ("phase_name", "parent_phase", "num_steps"),
        "progress_monitor",
    ),
    Use("IProgressMonitor.step_complete", ("phase_name", "step"), "progress_monitor"),
    Use("IRuntimeCache.deserialize", ("blob",), "runtime_cache"),
    Use("IRuntimeCache.serialize", (), "runtime_cache"),
    Use("IRuntimeConfig.create_runtime_cache", (), "runtime_cache"),
    Use(
        "IRuntimeConfig.set_execution_context_allocation_strategy",
        ("strategy",),
        "runtime_cache",
        elsewhere=True,
    ),
    Use("IRuntimeConfig.set_runtime_cache", ("cache",), "runtime_cache"),
    Use("ITensor.dtype"),
    Use("ITensor.name"),
    Use("ITensor.shape"),
    Use("ITimingCache.serialize", (), "timing_cache"),
    Use("LayerInformationFormat.JSON"),
    Use("MemoryPoolType.WORKSPACE"),
    Use("NetworkDefinitionCreationFlag.EXPLICIT_BATCH", feature="explicit_batch"),
    Use("NetworkDefinitionCreationFlag.STRONGLY_TYPED", feature="strongly_typed"),
    Use("OnnxParser.get_error", ("index",)),
    Use("OnnxParser.num_errors"),
    Use("OnnxParser.parse", ("model", "path")),
    Use("ParserError.code"),
    Use("ParserError.desc"),
    Use("ParserError.node_name", (), "parser_nodes"),
    Use("ParserError.node_operator", (), "parser_nodes"),
    Use("PreviewFeature.PROFILE_SHARING_0806", feature="profile_sharing"),
    Use("ProfilingVerbosity.DETAILED"),
    Use("Runtime.DLA_core"),
    Use("Runtime.deserialize_cuda_engine", ("serialized_engine",)),
    Use("Runtime.engine_host_code_allowed", feature="host_code"),
    Use("Runtime.get_engine_validity", ("buffer",), "engine_validity"),
    Use("Runtime.num_DLA_cores"),
    Use("TensorIOMode.INPUT"),
)
NAMES = [use.name for use in USES]
# What the one argument of a method may be, where the feature is there
OVERLOADS = {
    "ICudaEngine.create_execution_context": {
        "strategy": ("ExecutionContextAllocationStrategy", "context_memory"),
        "runtime_config": ("IRuntimeConfig", "runtime_cache"),
    }
}
# Attributes of other things that TensorRT's happen to have too
OURS = {"DEBUG", "INFO", "build_engine", "engine", "logger", "metadata"}


@pytest.fixture(params=VERSIONS)
def surface(request, ask):
    """Return the surface of a version, and which version that is."""
    if request.param == "rtx":
        pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    return request.param, ask(VERSIONS[request.param], NAMES)


def test_probes_find_what_each_version_has(surface):
    version, found = surface
    if version != "rtx":
        assert found["version"] == version
    absent = {name for name, there in found["features"].items() if not there}
    assert absent == ABSENT[version]
    assert set(found["features"]) == set(Features.__dataclass_fields__)


def test_all_that_is_used_is_there_or_behind_a_probe(surface):
    _, found = surface
    for use in USES:
        wanted = use.feature is None or found["features"][use.feature]
        there = found["docs"][use.name] is not None
        assert there >= wanted if use.elsewhere else there == wanted, use


def test_parameters_are_in_the_order_in_which_they_are_given(surface):
    _, found = surface
    for use in USES:
        text = found["docs"][use.name]
        if text is None or not use.parameters:
            continue
        method = use.name.partition(".")[2]
        signatures = re.findall(rf"{method}\(self: [^,)]+,? ?([^)]*)\)", text)
        given = [re.findall(r"(?:^|, )(\w+):", signature) for signature in signatures]
        assert list(use.parameters) in given, (use, given)


def test_methods_of_several_signatures_have_those_that_are_called(surface):
    _, found = surface
    for name, arguments in OVERLOADS.items():
        for argument, (kind, feature) in arguments.items():
            signature = rf"\(self: [^,)]+, {argument}: [\w.]*\.{kind} = "
            if found["features"][feature]:
                assert re.search(signature, found["docs"][name]), (name, argument)


def test_logger_and_monitor_are_taken_by_the_real_base_classes(surface):
    _, found = surface
    assert found["logged"] == ["INTERNAL_ERROR", "ERROR"]
    if found["features"]["progress_monitor"]:
        step = ["Building", 1, 2]
        assert found["watched"] == [
            ["Building", 0, 2],
            step,
            True,
            ["Building", 2, 2],
            False,
            ["Building", 2, 2],
        ]


def test_a_machine_without_a_gpu_is_told_so_before_tensorrt_is_touched(surface):
    version, found = surface
    if not isinstance(probe_driver(), str):
        pytest.skip("there is a GPU here")
    if version == "rtx":
        assert found["build"].startswith("ModelError: ")  # it gets as far as the empty file
        return
    assert found["build"].startswith("BackendError: TensorRT builds engines on the GPU")
    assert "driver" in found["build"]
    # What a builder that is null looks like: `build_engine` turns it into an error of ours.
    assert found["builder"].startswith("TypeError: ")


def sources() -> list[Path]:
    building, running = Path(build.__file__).parent, Path(backend.__file__).parent
    apart = {
        "choose.py",
        "compatibility.py",
        "fp16_input.py",
        "record.py",
        "verify.py",
    }  # which call no TensorRT
    found = [*building.glob("*.py"), *running.glob("*.py")]
    return sorted(path for path in found if path.name not in apart)


def used_names() -> tuple[set[str], set[str], set[str]]:
    """Names of attributes in the sources, "X.Y" of each trt.X.Y, and its strings."""
    attributes: set[str] = set()
    members: set[str] = set()
    strings: set[str] = set()
    for node in (node for path in sources() for node in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.Attribute):
            attributes.add(node.attr)
            owner = node.value
            if isinstance(owner, ast.Attribute) and ast.unparse(owner.value).endswith("trt"):
                members.add(f"{owner.attr}.{node.attr}")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            strings.add(node.value)
        elif isinstance(node, ast.FunctionDef):
            attributes.add(node.name)
    return attributes, members, strings


def test_the_table_lists_all_that_is_used(surface):
    _, found = surface
    attributes, _, _ = used_names()
    listed = {name.partition(".")[2] for name in NAMES}
    public = {name for name in found["public"] if not name.startswith("_")}
    assert attributes & public <= listed | OURS


def test_the_table_lists_the_members_of_enumerations():
    _, members, _ = used_names()
    bases = {"ILogger.__init__", "IProgressMonitor.__init__"}
    assert members - bases <= set(NAMES)


def test_the_table_lists_nothing_that_is_not_used():
    attributes, _, strings = used_names()
    names = {name.partition(".")[2] for name in NAMES}
    assert names <= attributes | strings


def test_the_stand_in_of_the_tests_has_the_face_of_the_real_ones():
    """So that what passes with it calls nothing that TensorRT lacks, or calls otherwise."""
    uses = {use.name: use for use in USES}
    knobs = {"compiled", "contexts_left", "recordable", "runs"}  # of the stand-in itself
    running = ("Runtime", "ICudaEngine", "IExecutionContext", "IRuntimeConfig", "IRuntimeCache")
    for face in (getattr(standin_tensorrt, name) for name in (*running, "ILogger")):
        for name in set(vars(face)) - knobs - {"Severity"}:
            if name.startswith("_") or f"{face.__name__}.{name}" in OVERLOADS:
                continue
            use = uses[f"{face.__name__}.{name}"]
            if callable(getattr(face, name)):
                given = list(inspect.signature(getattr(face, name)).parameters)[1:]
                assert tuple(given) == use.parameters, use
    missing = {name for name in NAMES if name.partition(".")[0] in running}
    missing = {
        n
        for n in missing
        if not hasattr(getattr(standin_tensorrt, n.split(".")[0]), n.split(".")[1])
    }
    assert missing == {"ICudaEngine.create_engine_inspector"}  # which only the export asks
