"""The seam between edgecount and an engine whose tensors lie on a GPU."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount.errors import BackendError
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.cuda.driver import FORKED, gpu_failures

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgecount._ext import DeviceArray, Stream


@dataclass(frozen=True, eq=False)
class Bound:
    """The tensors on the GPU that a worker reads and writes.

    Compared by identity: a CUDA graph of one is of no use for another.

    Attributes:
        input: the image tensor (B, 3, H, W), float32 or float16, to be filled.
        outputs: the maps (B, C, h, w) by their names in the manifest, float32 or float16.
    """

    input: DeviceArray
    outputs: Mapping[str, DeviceArray]


class DeviceWorker(ABC):
    """A CUDA stream with tensors of its own, by which one thread at a time runs an engine.

    Attributes:
        stream: the stream in which all its work is done.
        capturable: whether a CUDA graph can record `enqueue` now: it has run for the bound shape,
            and the engine allows it.
    """

    stream: Stream
    capturable: bool = False

    @abstractmethod
    def bind(self, shape: tuple[int, int, int, int]) -> Bound:
        """Set up the tensors for inputs of a shape (B, 3, H, W), and return them.

        As long as the same `Bound` is returned, nothing that a run uses has moved, and a CUDA graph
        of it may be launched again. Another shape has another `Bound`, and so may the same shape
        once memory was given back. A worker may keep those of several shapes. Its caller drops the
        graphs of one that the worker keeps no longer, so a worker must not keep one whose memory is
        gone. A shape that is new to the worker is run once on whatever the tensors hold, so that
        the first frame does not wait for kernels to be loaded.

        Raises:
            BackendError: the engine does not take the shape (the message says which it takes), or
                there is no memory left for it.
        """

    @abstractmethod
    def enqueue(self) -> None:
        """Queue one run over the bound tensors in the stream, and wait for nothing.

        Raises:
            BackendError: the engine failed.
        """

    def warm_up(self) -> None:
        """Run once over the bound tensors, whatever they hold, and wait: for a shape that is new.

        Raises:
            BackendError: the engine failed.
        """
        self.enqueue()
        with gpu_failures():
            self.stream.synchronize()

    @abstractmethod
    def close(self) -> None:
        """Free the tensors; calling it twice is fine."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class DeviceBackend(Backend):
    """An engine on a GPU, shared by workers.

    Besides `open_worker` it runs arrays of the host as every backend does: `infer` keeps as many
    workers as threads have called it at once.

    Args:
        device: number of the GPU; None: what the class says.

    Attributes:
        device_index: number of the GPU, as CUDA counts them; the first unless told otherwise.
    """

    device = "cuda:0"
    device_index = 0

    def __init__(self, device: int | None = None) -> None:
        if device is not None:
            self.device, self.device_index = f"cuda:{device}", device
        self._idle: list[DeviceWorker] = []
        self._lock = threading.Lock()
        self._closed, self._process = False, os.getpid()

    @property
    def batches(self) -> tuple[int, int]:
        """The smallest and the largest number of images in one run, as the model allows."""
        return 1, 1

    @property
    def sizes(self) -> tuple[tuple[int, int], tuple[int, int]] | None:
        """The smallest and the largest (height, width) in pixels, if the engine has limits."""
        return None

    @property
    def is_lost(self) -> bool:
        """Whether this process is a fork of the one that opened the engine.

        The engine is then of no use, and is not freed, which would need CUDA.
        """
        return self._process != os.getpid()

    @abstractmethod
    def open_worker(self) -> DeviceWorker:
        """Open a worker, which its caller closes before the backend.

        Raises:
            BackendError: there is no memory left for one, or the backend is closed.
        """

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once on arrays of the host; see `Backend.infer`."""
        with self._lock:
            self._check_open()
            worker = self._idle.pop() if self._idle else None
        # Outside the lock: subclasses take it to look after their engine.
        worker = worker or self.open_worker()
        try:
            (image,) = inputs.values()
            outputs = _run(worker, image)
        except BaseException:
            # Whatever its stream still does, the next call must not wait for it or share it.
            worker.close()
            raise
        with self._lock:
            # It may have been closed meanwhile, by a thread that did not know of this worker.
            if not self._closed:
                self._idle.append(worker)
                return outputs
        worker.close()
        return outputs

    def close(self) -> None:
        """Free the workers of `infer`; subclasses free the engine after it."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    def _check_open(self) -> None:
        if self.is_lost:
            raise BackendError(f"{self.name}: {FORKED}")
        if self._closed:
            raise BackendError(f"{self.name}: the backend is closed")


def _run(worker: DeviceWorker, image: NDArray[Any]) -> dict[str, NDArray[Any]]:
    bound = worker.bind(image.shape)
    # New arrays each time: results are the caller's, and the tensors are used again.
    outputs = {name: np.empty(a.shape, a.dtype) for name, a in bound.outputs.items()}
    # Kept until the work is done: a GPU that reads the host's memory itself may read it late.
    feed = np.ascontiguousarray(image, bound.input.dtype)
    with gpu_failures():
        worker.stream.upload(bound.input, feed)
        worker.enqueue()
        for name, target in outputs.items():
            worker.stream.download(bound.outputs[name], target)
        worker.stream.synchronize()
    return outputs
