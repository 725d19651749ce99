"""Engines for a GPU without TensorRT: to test what is built around one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount import _ext
from edgecount.errors import BackendError
from edgecount.runtime.backends.device import Bound, DeviceBackend, DeviceWorker

Run = Callable[[NDArray[np.float32]], Mapping[str, NDArray[Any]]]


class HostEngine(DeviceBackend):
    """Brings the input to the host, runs a function there, and brings the maps back.

    Args:
        run: from the image tensor to the maps by name.
        batches: the numbers of images that it takes.
        half: the tensors on the GPU are float16.
        sizes: the smallest and largest (height, width) that it takes.
        device: the number of the GPU.
    """

    name = "host-engine"
    batches = (1, 1)
    sizes = None

    def __init__(
        self,
        run: Run,
        *,
        batches: tuple[int, int] = (1, 4),
        half: bool = False,
        sizes: Any = None,
        device: int | None = None,
    ) -> None:
        super().__init__(device)
        self.run, self.half = run, half
        self.batches, self.sizes = batches, sizes  # type: ignore[method-assign, assignment]
        self.workers: list[HostWorker] = []
        self.shapes: list[tuple[int, ...]] = []

    def open_worker(self) -> HostWorker:
        self.workers.append(HostWorker(self))
        return self.workers[-1]


class HostWorker(DeviceWorker):
    def __init__(self, engine: HostEngine) -> None:
        self.engine = engine
        self.stream = _ext.Stream(engine.device_index)
        self.bound: Bound | None = None
        self.closed = False

    def bind(self, shape: tuple[int, int, int, int]) -> Bound:
        least, most = self.engine.batches
        if not least <= shape[0] <= most:
            raise BackendError(
                f"{self.engine.name}: takes {least} to {most} images, got {shape[0]}"
            )
        if self.bound is None or self.bound.input.shape != shape:
            maps = self.engine.run(np.zeros(shape, np.float32))
            self.bound = Bound(
                self._array(shape), {name: self._array(m.shape) for name, m in maps.items()}
            )
        return self.bound

    def _array(self, shape: tuple[int, ...]) -> _ext.DeviceArray:
        kind = "float16" if self.engine.half else "float32"
        nbytes = int(np.prod(shape)) * np.dtype(kind).itemsize
        return _ext.DeviceBuffer(nbytes, self.engine.device_index).array(shape, kind)

    def enqueue(self) -> None:
        assert self.bound is not None
        tensor = np.empty(self.bound.input.shape, self.bound.input.dtype)
        self.stream.download(self.bound.input, tensor)
        self.stream.synchronize()
        self.engine.shapes.append(tensor.shape)
        for name, values in self.engine.run(tensor.astype(np.float32)).items():
            target = self.bound.outputs[name]
            self.stream.upload(target, np.ascontiguousarray(values, target.dtype))
        self.stream.synchronize()

    def close(self) -> None:
        self.closed = True


class RecordedEngine(HostEngine):
    """Gives the same maps whatever it sees, by copies that a CUDA graph can record.

    Args:
        keeps: shapes whose tensors a worker keeps.
    """

    name = "recorded-engine"

    def __init__(self, run: Run, *, keeps: int = 8, **options: Any) -> None:
        super().__init__(run, **options)
        self.keeps = keeps

    def open_worker(self) -> HostWorker:
        self.workers.append(RecordedWorker(self))
        return self.workers[-1]


class RecordedWorker(HostWorker):
    capturable = True

    def __init__(self, engine: RecordedEngine) -> None:
        super().__init__(engine)
        self.keeps = engine.keeps
        self.kept: dict[tuple[int, ...], tuple[Bound, dict[str, NDArray[Any]]]] = {}

    def bind(self, shape: tuple[int, int, int, int]) -> Bound:
        if shape not in self.kept:
            self.stream.synchronize()
            while len(self.kept) >= self.keeps:
                del self.kept[next(iter(self.kept))]
            self.bound = None
            bound = super().bind(shape)
            maps = self.engine.run(np.zeros(shape, np.float32))
            pinned = {name: _pinned(values) for name, values in maps.items()}
            self.kept[shape] = bound, pinned
        self.bound, self._pinned = self.kept[shape] = self.kept.pop(shape)
        return self.bound

    def enqueue(self) -> None:
        assert self.bound is not None
        self.engine.shapes.append(self.bound.input.shape)
        for name, values in self._pinned.items():
            self.stream.upload(self.bound.outputs[name], values)


def _pinned(values: NDArray[Any]) -> NDArray[Any]:
    copy = _ext.PinnedBuffer(values.nbytes).array(values.shape, str(values.dtype))
    copy[...] = values
    return copy
