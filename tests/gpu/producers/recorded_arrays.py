"""Arrays of other libraries on a GPU, with the interfaces that they give, as recorded.

See `recorded_frames`, which has the frames of cameras, decoders and libraries for vision.
"""

from __future__ import annotations

import ctypes
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from producers.memory import CUDA, LEGACY, Memory, current_device, hand_over, view

from edgecount import _ext


class TorchTensor:
    """A ``torch.Tensor``.

    torch 2.13, torch/_tensor.py (__dlpack__, __dlpack_device__, __cuda_array_interface__). It gives
    nothing while another device than its own is current, and the stream that it is told waits for
    the one that is current in torch.

    Args:
        driver: CUDA's driver, which knows the current device.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...], driver: ctypes.CDLL) -> None:
        self._memory, self._driver = memory, driver
        self._array = view(memory, shape)
        self.__cuda_array_interface__ = {
            "typestr": "|u1",
            "shape": shape,
            "strides": None if memory.pitch == int(np.prod(shape[1:])) else self._array.strides,
            "data": (memory.ptr, False),
            "version": 2,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CUDA, self._array.device)

    def __dlpack__(
        self,
        *,
        stream: Any = -1,
        max_version: tuple[int, int] | None = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        if current_device(self._driver) != self._array.device:
            raise BufferError("Can't export tensors on a different CUDA device index.")
        if type(stream) is not int:
            raise TypeError("stream must be ``int`` or ``none``")
        if stream == 2:
            raise BufferError("per-thread default stream is not supported.")
        hand_over(self._memory, stream)
        return self._array.__dlpack__(stream=-1, max_version=max_version)


class _HandsOver(ABC):
    """An array by DLPack 1.0, whose producer lets the consumer's stream wait."""

    _array: _ext.DeviceArray

    @abstractmethod
    def let_wait(self, stream: int) -> None:
        """Let the consumer's stream wait for what the producer has queued."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CUDA, self._array.device)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: Any = None,
        copy: bool | None = None,
    ) -> Any:
        self.let_wait(LEGACY if stream is None else stream)
        return self._array.__dlpack__(stream=-1, max_version=max_version)


class CupyArray(_HandsOver):
    """A ``cupy.ndarray``.

    cupy/cupy, cupy/_core/core.pyx of v14 (__dlpack__, __cuda_array_interface__). The stream that it
    is told waits for the one that is current in CuPy, which the interface names as well.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...]) -> None:
        self._memory = memory
        self._array = view(memory, shape)
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "|u1",
            "descr": [("", "|u1")],
            "stream": memory.stream.handle or LEGACY,
            "version": 3,
            "strides": None,
            "data": (memory.ptr, False),
        }

    def let_wait(self, stream: int) -> None:
        hand_over(self._memory, stream)


class NumbaArray:
    """A ``DeviceNDArray`` of Numba.

    numba/numba 0.60 and NVIDIA/numba-cuda, cudadrv/devicearray.py (__cuda_array_interface__). The
    stream is named only if the array was made or bound in one.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...], *, bound: bool) -> None:
        self._memory = memory
        self.shape = shape
        self.__cuda_array_interface__ = {
            "shape": shape,
            "strides": None,
            "data": (memory.ptr, False),
            "typestr": "|u1",
            "stream": memory.stream.handle if bound else None,
            "version": 3,
        }


class PycudaArray:
    """A ``GPUArray`` of PyCUDA.

    inducer/pycuda, pycuda/gpuarray.py (__cuda_array_interface__). It always gives strides, and
    names no stream for what is queued in the default one.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...]) -> None:
        self._memory = memory
        self.shape = shape
        self.__cuda_array_interface__ = {
            "shape": shape,
            "strides": (memory.pitch, *shape[2:], 1),
            "data": (memory.ptr, False),
            "typestr": "|u1",
            "stream": None,
            "version": 3,
        }


class HoloscanTensor(_HandsOver):
    """A ``holoscan.core.Tensor``.

    nvidia-holoscan/holoscan-sdk, python/holoscan/core/tensor.cpp (__dlpack__) and dl_converter.cpp
    (set_array_interface, process_dlpack_stream) at 90763fa. Both interfaces are of work in the
    legacy default stream, whatever stream made the tensor.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...]) -> None:
        self._memory = memory
        self._array = view(memory, shape)
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "|u1",
            "data": (memory.ptr, False),
            "version": 3,
            "strides": self._array.strides,
            "descr": [("", "|u1")],
            "mask": None,
            "stream": 1,
        }

    def let_wait(self, stream: int) -> None:
        if stream > 2:
            made = _ext.Event(self._array.device)
            made.record(_ext.Stream(self._array.device, handle=LEGACY))
            _ext.Stream(self._array.device, handle=stream).wait(made)
