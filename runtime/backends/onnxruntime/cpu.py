"""ONNX Runtime, on the CPU or on an NVIDIA GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from edgecount.errors import BackendError, ModelError
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.forks import check_process
from edgecount.runtime.backends.onnxruntime.calls import run_session
from edgecount.runtime.backends.onnxruntime.session import (
    CPU,
    CUDA,
    check_tensors,
    open_session,
)
from edgecount.runtime.models.machine import usable_threads
from edgecount.runtime.models.onnx_facts import check_unchanged, files_state, stored_precision

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.runtime.models.model_file import ModelFile


# The buffers of each frame in the engine are as large as those of a single one: with more at once a
# board would run out of memory before it runs out of cores.
_MOST_LANES = 4


class OnnxRuntimeBackend(Backend):
    """A backend of ONNX Runtime that takes arrays in the host's memory.

    A frame that has all threads waits for the slowest of them at every layer, and INT8 gains little
    from a second one: a frame on each core is faster, where there are several.

    Args:
        model: the model's file.
        device: "cpu", or a GPU such as "cuda:0".
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
        self._model, self._threads = model, threads or usable_threads()
        self.lanes = min(_MOST_LANES, self._threads) if device == "cpu" else 1
        self._of_lanes: dict[int, Backend] = {}
        self._process = os.getpid()
        self._opening = threading.Lock()
        self._state = files_state(model.path)
        provider = CPU if device == "cpu" else CUDA
        options = {} if device == "cpu" else {"device_id": device.removeprefix("cuda:")}
        self._session: Any = open_session(model, provider, threads, options)
        try:
            check_tensors(self._session, model)
        except ModelError:
            self.close()
            raise

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once; see `Backend.infer`."""
        if self._session is None:
            raise BackendError(f"{self.name}: the backend is closed")
        check_process(self.name, self._process)
        try:
            values = run_session(self._session, self._outputs, inputs)
        except ModelError:  # it was ended
            raise
        except Exception as error:
            shapes = {name: value.shape for name, value in inputs.items()}
            raise BackendError(f"{self.name} failed on inputs {shapes}: {error}") from error
        return dict(zip(self._outputs, values, strict=True))

    def for_lanes(self, number: int) -> Backend:
        """Return sessions that share the threads; see `Backend.for_lanes`.

        Raises:
            BackendError: the backend is closed.
            ModelError: there is no memory for them, or the file was replaced.
        """
        if number == 1 or self.device != "cpu":
            return self
        check_process(self.name, self._process)  # before the lock, which a thread may have held
        with self._opening:
            if self._session is None:
                raise BackendError(f"{self.name}: the backend is closed")
            if number not in self._of_lanes:
                self._of_lanes[number] = self._open_lanes(number)
            return self._of_lanes[number]

    def _open_lanes(self, number: int) -> Backend:
        each = max(1, self._threads // number)
        sessions: list[Backend] = []
        check_unchanged(
            self._model.path, self._state
        )  # before: opening takes long, and is tried again with the next frames
        try:
            # A call of one thread runs in the caller's: then one session, with its weights and its
            # pool of memory, serves all. Sessions with threads of their own would lend them to
            # whoever comes first.
            for _ in range(1 if each == 1 else number):
                sessions.append(OnnxRuntimeBackend(self._model, "cpu", each))  # noqa: PERF401
            check_unchanged(self._model.path, self._state)
        except BaseException:
            for session in sessions:
                session.close()
            raise
        return sessions[0] if each == 1 else _InTurn(sessions)

    def close(self) -> None:
        """Free the sessions; in a fork they are the parent's."""
        if self._process != os.getpid():
            self._session = None
            return
        with self._opening:
            self._session = None
            while self._of_lanes:
                self._of_lanes.popitem()[1].close()


class _InTurn(Backend):
    """Several engines of one model, each lent to one call at a time."""

    name = "onnxruntime"

    def __init__(self, engines: Sequence[Backend]) -> None:
        self._engines, self._process = engines, os.getpid()
        self._idle: SimpleQueue[Backend] = SimpleQueue()
        for engine in engines:
            self._idle.put(engine)

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once, by the engine that is free next; see `Backend.infer`."""
        check_process(self.name, self._process)  # a thread of the parent may have all of them
        engine = self._idle.get()
        try:
            return engine.infer(inputs)
        finally:
            self._idle.put(engine)

    def close(self) -> None:
        """Free the engines."""
        for engine in self._engines:
            engine.close()
