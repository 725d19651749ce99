"""Load an engine once after its build, and count its layers by precision."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError
from edgecount.export.tensorrt.layer_precision import engine_precisions
from edgecount.runtime.backends.tensorrt.library import dtype_name

if TYPE_CHECKING:
    from edgecount.export.tensorrt.network import TensorRecord
    from edgecount.runtime.backends.tensorrt.library import Features
    from edgecount.runtime.backends.tensorrt.logger import TensorRTLog


def inspect_engine(
    trt: ModuleType,
    features: Features,
    log: TensorRTLog,
    serialized: bytes,
    tensors: tuple[TensorRecord, ...],
    dla_core: int | None,
) -> dict[str, int] | str:
    """Load an engine for the GPU or an accelerator, and count its layers by precision.

    Returns:
        Such as {"fp16": 20, "unknown": 2}, or the reason why this machine cannot tell.

    Raises:
        BackendError: inputs or outputs are not those of the network.
    """
    if not features.inspector:
        return "this TensorRT has no inspector"
    runtime = trt.Runtime(log.logger)
    if features.engine_validity and runtime.get_engine_validity(serialized)[0].name == "INVALID":
        return "the engine is not for the GPU that is here"
    if features.host_code:
        runtime.engine_host_code_allowed = True  # an engine for newer versions, which we just built
    if dla_core is not None:
        runtime.DLA_core = dla_core
    engine = runtime.deserialize_cuda_engine(serialized)
    if engine is None:
        return "it does not load here: " + "; ".join(log.problems[-3:])
    _compare_tensors(trt, engine, tensors)
    inspector = engine.create_engine_inspector()
    return engine_precisions(inspector.get_engine_information(trt.LayerInformationFormat.JSON))


def _compare_tensors(trt: ModuleType, engine: Any, tensors: tuple[TensorRecord, ...]) -> None:
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    built = {
        name: (
            "input" if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else "output",
            dtype_name(engine.get_tensor_dtype(name)),
        )
        for name in names
    }
    expected = {tensor.name: (tensor.mode, tensor.dtype) for tensor in tensors}
    if built != expected:
        raise BackendError(
            f"the engine's inputs and outputs are {built}, and the ONNX file's are {expected}: "
            "this is a fault of TensorRT; report it with the ONNX file"
        )
