"""The choice between ONNX Runtime's CPU and CUDA providers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edgecount.errors import BackendError
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend
from edgecount.runtime.backends.onnxruntime.session import CUDA, load_onnxruntime

if TYPE_CHECKING:
    from edgecount.runtime.models.model_file import ModelFile

_log = logging.getLogger(__name__)


def open_onnxruntime(model: ModelFile, device: str, threads: int | None) -> Backend:
    """Open a session on "cpu" or a GPU such as "cuda:0", where its tensors stay if they can."""
    if device == "cpu":
        return OnnxRuntimeBackend(model, device, threads)
    from edgecount.runtime.backends.onnxruntime.cuda import OnnxRuntimeCudaBackend
    from edgecount.runtime.cuda.driver import why_no_gpu

    number = int(device.removeprefix("cuda:"))
    # What is wrong with the provider comes first: without it, nothing else is of use.
    if CUDA in load_onnxruntime("gpu").get_available_providers():
        reason = why_no_gpu(number)
        if reason is None:
            return OnnxRuntimeCudaBackend(model, threads, device=number)
        _log.info("onnxruntime-cuda copies every frame and its maps: %s", reason)
    return OnnxRuntimeBackend(model, device, threads)


def try_cuda(model: ModelFile, threads: int | None, gpu: int = 0) -> Backend | str:
    """Open a GPU's session if onnxruntime has one that works, else return why not."""
    if CUDA not in load_onnxruntime().get_available_providers():
        return "this onnxruntime has no CUDA provider"
    try:
        return open_onnxruntime(model, f"cuda:{gpu}", threads)
    except BackendError as error:
        return str(error)
