"""Maps that another program's engine computed, such as nvinfer of DeepStream, counted here."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecount._numbers import is_number
from edgecount._options import check_capacity, check_device, check_threshold
from edgecount.errors import ConfigError, InputError
from edgecount.manifest import Manifest
from edgecount.regions import RegionsLike, read_regions
from edgecount.result import CountResult, Timings
from edgecount.runtime.cuda.driver import gpu_failures
from edgecount.runtime.frames.images import lies_on_gpu
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.gpu_counters import GpuCounter, open_counter
from edgecount.runtime.pipeline.postprocess import (
    MapGrid,
    RegionMasks,
    check_outputs,
    count_outputs,
    explained,
    read_counts,
)
from edgecount.runtime.pipeline.preprocess import InputGeometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount import _ext
    from edgecount.runtime.pipeline.postprocess import Counts


class OutputCounter:
    """A counter of the maps of one frame at a time, which another program's engine computed.

    Maps on a GPU are counted there, by the kernels of `EdgeCounter`, and in the host's memory by
    those for the CPU. One thread at a time may use it.

    Args:
        model: the model that the engine was built of: a name, a file or a folder, as for
            `EdgeCounter`, or its manifest.
        frame_size: (width, height) of the frames in pixels.
        input_size: (height, width) of the engine's input in pixels.
        resized: (height, width) of the frame within the input, at its top left; None: as large as
            fits in its own shape, rounded down, as nvinfer's maintain-aspect-ratio makes it.
        regions: see `EdgeCounter`, as for threshold and capacity.
        threshold: score above which a peak counts.
        capacity: most points to list.
        engine: name of the engine in results.
        device: number of the GPU on which maps lie.

    Raises:
        ModelError: see `EdgeCounter`.
        ConfigError: a size makes no sense, or see `EdgeCounter`.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | Manifest,
        frame_size: tuple[int, int],
        input_size: tuple[int, int],
        *,
        resized: tuple[int, int] | None = None,
        regions: RegionsLike | None = None,
        threshold: float | None = None,
        capacity: int | None = None,
        engine: str = "nvinfer",
        device: int = 0,
    ) -> None:
        manifest = open_model(model).manifest
        self._geometry = _geometry(frame_size, input_size, resized, manifest)
        self._manifest, self._engine = manifest, engine
        self._threshold = check_threshold(threshold, manifest)
        self._capacity = check_capacity(capacity)
        self._masks = RegionMasks(read_regions(regions))
        (number,) = check_device(device, None)
        self._device = number or 0
        self._stream: _ext.Stream | None = None
        self._counters: dict[tuple[str, ...], GpuCounter] = {}  # by the maps' dtypes

    def count(self, outputs: Mapping[str, Any]) -> CountResult:
        """Count the people in the maps of one frame; the call waits for the result.

        Args:
            outputs: the maps by their names in the model, float32 or float16, (C, h, w) or
                (1, C, h, w): NumPy arrays, or arrays on the GPU (`__dlpack__` or
                `__cuda_array_interface__`). Other outputs are left alone.

        Returns:
            The result, whose `interval` is None: it holds for frames that edgecount sizes.

        Raises:
            InputError: a map cannot be taken.
            BackendError: a map is missing, has another shape, or holds a value that is not finite.
        """
        start = time.perf_counter()
        names = [output.name for output in self._manifest.outputs]
        maps = {name: outputs[name] for name in names if name in outputs}
        on_gpu = any(lies_on_gpu(values) for values in maps.values())
        counts = self._count_on_gpu(maps) if on_gpu else self._count_on_host(maps)
        took = 1000 * (time.perf_counter() - start)
        return CountResult(
            **vars(dataclasses.replace(counts, interval=None)),
            size=self._geometry.size,
            model=self._manifest.name,
            backend=self._engine,
            precision="unknown",
            source=None,
            frame=None,
            time=None,
            captured=None,
            media_time=None,
            timings=Timings(preprocess=0.0, infer=0.0, postprocess=took),
        )

    def _count_on_host(self, maps: Mapping[str, Any]) -> Counts:
        arrays = {name: _with_batch(np.asarray(values)) for name, values in maps.items()}
        check_outputs(arrays, self._manifest, *self._geometry.padded)
        return count_outputs(
            arrays,
            self._manifest,
            self._geometry,
            self._masks,
            threshold=self._threshold,
            capacity=self._capacity,
        )

    def _count_on_gpu(self, maps: Mapping[str, Any]) -> Counts:
        from edgecount import _ext

        grid = MapGrid(self._manifest, self._geometry)
        with gpu_failures():
            stream = self._stream = self._stream or _ext.Stream(self._device)
            arrays = {name: _borrow(values, name, stream) for name, values in maps.items()}
            check_outputs(arrays, self._manifest, *self._geometry.padded)
            dtypes = {name: array.dtype for name, array in arrays.items()}
            counter = self._counters.get(tuple(dtypes.values()))
            if counter is None:
                coverage = grid.masks(self._masks)
                counter = open_counter(
                    grid,
                    coverage,
                    1,
                    dtypes,
                    self._device,
                    threshold=self._threshold,
                    capacity=self._capacity,
                )
                self._counters[tuple(dtypes.values())] = counter
            counter.enqueue(arrays, stream)
            stream.synchronize()
            with explained(self._manifest):
                found = counter.read(stream)
        people = counter.density_of(0)
        density = np.zeros((0, 0), np.float32) if people is None else people
        return read_counts(found, 0, density, grid, self._masks)


def _geometry(
    frame_size: tuple[int, int],
    input_size: tuple[int, int],
    resized: tuple[int, int] | None,
    manifest: Manifest,
) -> InputGeometry:
    sizes: dict[str, Any] = {"frame_size": frame_size, "input_size": input_size}
    if resized is not None:
        sizes["resized"] = resized
    for name, size in sizes.items():
        is_size = isinstance(size, (tuple, list)) and len(size) == 2
        if not is_size or not all(is_number(side, Integral) and side >= 1 for side in size):
            raise ConfigError(f"{name}: expected two numbers of pixels, 1 or more, got {size!r}")
    (width, height), (high, wide) = frame_size, input_size
    multiple = manifest.input.multiple
    if high % multiple or wide % multiple:
        raise ConfigError(
            f"input_size: expected multiples of {multiple}, as {manifest.name} takes, got {high} x "
            f"{wide}"
        )
    if resized is None:
        scaled = int(wide * height / width)
        resized = (scaled, wide) if scaled <= high else (high, int(high * width / height))
    if not (1 <= resized[0] <= high and 1 <= resized[1] <= wide):  # nothing is left of a thin frame
        raise ConfigError(
            f"resized: expected a size within the input of {high} x {wide}, got {resized!r}"
        )
    return InputGeometry((width, height), resized, (high, wide))


def _with_batch(array: NDArray[Any]) -> NDArray[Any]:
    return array[None] if array.ndim == 3 else array


def _borrow(values: Any, name: str, stream: _ext.Stream) -> _ext.DeviceArray:
    """Return another library's map on the GPU as (1, C, h, w), without a copy.

    Raises:
        InputError: it cannot be taken.
    """
    from edgecount import _ext

    try:
        array = _ext.device_array(values, stream)
        if len(array.shape) == 3:
            array = _ext.device_array(_Batched(array), stream)
    except Exception as error:  # whatever the other library raises when it is asked for it
        reason = str(error).removeprefix("source: ")
        raise InputError(f"output {name!r} on the GPU cannot be taken: {reason}") from error
    return array


class _Batched:
    """A map (C, h, w) on a GPU as a batch of one."""

    def __init__(self, array: _ext.DeviceArray) -> None:
        self._array = array
        planes, rows, columns = array.shape
        self.__cuda_array_interface__ = {
            **array.__cuda_array_interface__,
            "shape": (1, planes, rows, columns),
            "strides": (planes * array.strides[0], *array.strides),
        }
