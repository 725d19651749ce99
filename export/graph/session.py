"""Graphs in memory, run by ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError, ModelError
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.calls import in_hand
from edgecount.runtime.backends.onnxruntime.calls import run_session
from edgecount.runtime.backends.onnxruntime.session import load_onnxruntime

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

_LOG_FATAL = 4


class AsWritten(Backend):
    """A backend that runs a graph operator by operator, without fusing integer kernels.

    ONNX Runtime fuses what lies between DequantizeLinear and QuantizeLinear for its CPU. For a
    graph that is meant for TensorRT the fused kernels say nothing, and with float16 scales (1.31)
    they are wrong: counts of a sound graph went to 0.
    """

    name = "onnxruntime, as written"

    def __init__(self, model: onnx.ModelProto, threads: int | None = None) -> None:
        self._outputs = [output.name for output in model.graph.output]
        self._session: Any = open_session(model, threads, fuse=False)

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the graph once; see `Backend.infer`."""
        try:
            values = run_session(self._session, self._outputs, inputs)
        except Exception as error:
            raise BackendError(f"{self.name}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Free the session."""
        self._session = None


def open_session(
    model: onnx.ModelProto | bytes, threads: int | None = None, *, fuse: bool = True
) -> Any:
    """Return a session of ONNX Runtime on the CPU, with a thread per core if ``threads`` is None.

    ``fuse`` lets it replace quantised operators by integer kernels.

    Raises:
        ModelError: ONNX Runtime cannot load the graph.
        MissingExtraError: it is not installed.
    """
    onnxruntime = load_onnxruntime("engine")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_FATAL
    if threads is not None:
        options.intra_op_num_threads = threads
    if not fuse:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    serialized = model if isinstance(model, bytes) else model.SerializeToString()
    try:
        with in_hand():
            return onnxruntime.InferenceSession(
                serialized, options, providers=["CPUExecutionProvider"]
            )
    except Exception as error:
        raise ModelError(f"ONNX Runtime cannot load the graph: {error}") from error
