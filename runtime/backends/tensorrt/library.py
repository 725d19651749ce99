"""The TensorRT module of a target, and the features of its version."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
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

    Args:
        target: "tensorrt" or "tensorrt-rtx".

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
    except ModuleNotFoundError as error:
        if error.name == name:
            return None
        raise _broken(name, error) from error
    except (ImportError, OSError) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> BackendError:
    return BackendError(
        f"{name} is installed and does not load ({error}): its libraries are missing, or are of "
        f"another version; install it anew, or {_JETPACK}"
    )


def library_name(trt: ModuleType, target: Target) -> str:
    """Return the library's name and version for messages, such as "TensorRT 10.3.0"."""
    return f"{'TensorRT' if target == 'tensorrt' else 'TensorRT for RTX'} {trt.__version__}"


def dtype_name(dtype: Any) -> str:
    """Return NumPy's name of a data type of TensorRT."""
    name: str = dtype.name
    return _DTYPES.get(name, name.lower())


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
        hardware_compatibility: plans for any GPU of a family.
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

    strongly_typed: bool
    explicit_batch: bool
    precision_flags: bool
    progress_monitor: bool
    hardware_compatibility: bool
    version_compatibility: bool
    compute_capabilities: bool
    dla: bool
    timing_cache: bool
    inspector: bool
    engine_validity: bool
    host_code: bool
    profile_sharing: bool
    capture_query: bool
    parser_nodes: bool
    context_memory: bool
    runtime_cache: bool

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


_PROBES = {
    "strongly_typed": ("NetworkDefinitionCreationFlag", "STRONGLY_TYPED"),
    "explicit_batch": ("NetworkDefinitionCreationFlag", "EXPLICIT_BATCH"),
    "precision_flags": ("BuilderFlag", "FP16"),
    "progress_monitor": ("IBuilderConfig", "progress_monitor"),
    "hardware_compatibility": ("IBuilderConfig", "hardware_compatibility_level"),
    "version_compatibility": ("BuilderFlag", "VERSION_COMPATIBLE"),
    "compute_capabilities": ("IBuilderConfig", "set_compute_capability"),
    "dla": ("IBuilderConfig", "DLA_core"),
    "timing_cache": ("IBuilderConfig", "create_timing_cache"),
    "inspector": ("ICudaEngine", "create_engine_inspector"),
    "engine_validity": ("Runtime", "get_engine_validity"),
    "host_code": ("Runtime", "engine_host_code_allowed"),
    "profile_sharing": ("PreviewFeature", "PROFILE_SHARING_0806"),
    "capture_query": ("IExecutionContext", "is_stream_capturable"),
    "parser_nodes": ("ParserError", "node_operator"),
    # The last to come of the calls that it takes
    "context_memory": ("IExecutionContext", "set_device_memory"),
    "runtime_cache": ("IRuntimeConfig", "create_runtime_cache"),
}


def probe_features(trt: ModuleType) -> Features:
    """Probe a module for its features."""
    return Features(
        **{
            feature: hasattr(getattr(trt, owner, None), name)
            for feature, (owner, name) in _PROBES.items()
        }
    )
