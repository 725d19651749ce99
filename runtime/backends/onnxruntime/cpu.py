"""ONNX Runtime, on the CPU or on an NVIDIA GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError, ModelError
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.onnxruntime.calls import run_session
from edgecount.runtime.backends.onnxruntime.session import (
    CPU,
    CUDA,
    check_tensors,
    open_session,
)
from edgecount.runtime.models.onnx_facts import stored_precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.runtime.models.model_file import ModelFile


class OnnxRuntimeBackend(Backend):
    """A backend of ONNX Runtime that takes arrays in the host's memory.

    Args:
        model: the model's file.
        device: "cpu" or "cuda:0".
        threads: threads on the CPU; None: one per core.

    Raises:
        MissingExtraError: onnxruntime is not installed.
        BackendError: the device's provider is not there or does not load.
        ModelError: the file cannot be loaded, or does not have the tensors of its manifest.
    """

    def __init__(self, model: ModelFile, device: str = "cpu", threads: int | None = None) -> None:
        self.device = device
        self.name = "onnxruntime" if device == "cpu" else "onnxruntime-cuda"
        self._outputs = [output.name for output in model.manifest.outputs]
        # What it computes in is in the file: ONNX Runtime changes nothing of it.
        self.precision = "float32" if model.path is None else stored_precision(model.path)
        self._session: Any = open_session(model, CPU if device == "cpu" else CUDA, threads)
        try:
            check_tensors(self._session, model)
        except ModelError:
            self.close()
            raise

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once; see `Backend.infer`."""
        if self._session is None:
            raise BackendError(f"{self.name}: the backend is closed")
        try:
            values = run_session(self._session, self._outputs, inputs)
        except ModelError:  # it was ended
            raise
        except Exception as error:
            shapes = {name: value.shape for name, value in inputs.items()}
            raise BackendError(f"{self.name} failed on inputs {shapes}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))

    def close(self) -> None:
        """Free the session."""
        self._session = None
