"""The TensorRT module of a target, and the features of its version."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

    from edgecount.runtime.models.sidecar import Target

# The wheel of TensorRT for RTX is called tensorrt_rtx_bindings, its meta-package tensorrt_rtx.
_MODULES: dict[Target, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_JETPACK = (
    "on a Jetson run  sudo apt install python3-libnvinfer  and make the environment with  "
    "python3 -m venv --system-site-packages , because JetPack installs it for the system's Python"
)


_DTYPES = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT32": "int32",
    "INT64": "int64",
    "BOOL": "bool",
}


def load_tensorrt(target: Target) -> ModuleType:
    """Import the module of a target.

    Raises:
        MissingExtraError: TensorRT for RTX is not installed.
        BackendError: TensorRT is not installed, or is and does not load.
    """
    for name in _MODULES[target]:
        module = _import(name)
        if module is not None:
            return module
    if target == "tensorrt-rtx":
        raise MissingExtraError("tensorrt_rtx", "rtx", "for engines of TensorRT for RTX")
    raise BackendError(
        "tensorrt is needed for TensorRT engines and is not installed for this Python: "
        f"{_JETPACK}; on a PC with an NVIDIA GPU run  pip install tensorrt"
    )


def _import(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            return None
        raise BackendError(
            f"{name} is installed and does not load ({error}): its libraries are missing, or are "
            f"of another version; install it anew, or {_JETPACK}"
        ) from error


def library_name(trt: ModuleType, target: Target) -> str:
    """Return the library's name and version for messages, such as "TensorRT 10.3.0"."""
    return f"{'TensorRT' if target == 'tensorrt' else 'TensorRT for RTX'} {trt.__version__}"


def dtype_name(dtype: Any) -> str:
    """Return NumPy's name of a data type of TensorRT."""
    name: str = dtype.name
    return _DTYPES.get(name, name.lower())


def _under(owner: str, name: str) -> Any:
    """Declare a feature that a module has if it has this name in this class or enum."""
    return field(metadata={"under": (owner, name)})


@dataclass(frozen=True)
class Features:
    """The features of a TensorRT module.

    They are probed by name, never derived from the version: TensorRT for RTX counts from 1 and is
    newer than TensorRT 10.

    Attributes:
        strongly_typed: a network can be told to keep the types of its graph.
        explicit_batch: a network must be told that its batch is an axis like another.
        precision_flags: the builder chooses types, within what flags allow.
        progress_monitor: a build can be watched and cancelled.
        hardware_compatibility: plans for all GPUs from Ampere on.
        same_capability: plans for all GPUs of one compute capability.
        version_compatibility: plans for newer versions.
        compute_capabilities: builds ahead of time for GPUs that are not here.
        dla: can build for deep learning accelerators, if the board has any.
        timing_cache: measured times can be kept for the next build.
        inspector: an engine tells about its layers.
        engine_validity: a plan can be checked before it is loaded.
        host_code: plans for newer versions carry code that a runtime must be allowed to run.
        profile_sharing: whether several contexts may use one range of shapes is asked at the build.
        capture_query: a context can be asked whether a CUDA graph can record it.
        parser_nodes: the parser's errors name their node.
        context_memory: a context can be given its memory, as much as one shape takes.
        runtime_cache: kernels are compiled where they run, and can be kept for the next process.
    """

    strongly_typed: bool = _under("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
    explicit_batch: bool = _under("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH")
    precision_flags: bool = _under("BuilderFlag", "FP16")
    progress_monitor: bool = _under("IBuilderConfig", "progress_monitor")
    hardware_compatibility: bool = _under("IBuilderConfig", "hardware_compatibility_level")
    same_capability: bool = _under("HardwareCompatibilityLevel", "SAME_COMPUTE_CAPABILITY")
    version_compatibility: bool = _under("BuilderFlag", "VERSION_COMPATIBLE")
    compute_capabilities: bool = _under("IBuilderConfig", "set_compute_capability")
    dla: bool = _under("IBuilderConfig", "DLA_core")
    timing_cache: bool = _under("IBuilderConfig", "create_timing_cache")
    inspector: bool = _under("ICudaEngine", "create_engine_inspector")
    engine_validity: bool = _under("Runtime", "get_engine_validity")
    host_code: bool = _under("Runtime", "engine_host_code_allowed")
    profile_sharing: bool = _under("PreviewFeature", "PROFILE_SHARING_0806")
    capture_query: bool = _under("IExecutionContext", "is_stream_capturable")
    parser_nodes: bool = _under("ParserError", "node_operator")
    # The last to come of the calls that it takes
    context_memory: bool = _under("IExecutionContext", "set_device_memory")
    runtime_cache: bool = _under("IRuntimeConfig", "create_runtime_cache")

    @property
    def typed_graphs(self) -> bool:
        """Whether a graph's types are the engine's, so that FP16 must be in the ONNX."""
        return self.strongly_typed or not self.precision_flags

    @property
    def measures(self) -> bool:
        """Whether a build measures on the GPU, so that a timing cache is of use.

        One ahead of time cannot; there the cache's methods do nothing but warn.
        """
        return self.timing_cache and not self.compute_capabilities


def probe_features(trt: ModuleType) -> Features:
    """Probe a module for its features."""
    found = {}
    for feature in fields(Features):
        owner, name = feature.metadata["under"]
        found[feature.name] = hasattr(getattr(trt, owner, None), name)
    return Features(**found)
