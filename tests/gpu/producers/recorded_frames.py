"""Frames with the interfaces that other libraries give their arrays on a GPU, as recorded.

Each class names what it was read from: the interface dictionary, or the signature and the capsule
of ``__dlpack__``, and the stream in which the library works. None of the libraries is needed. The
pixels are on their way in that stream when a frame is made: who does not wait for it reads others.
"""

from __future__ import annotations

from typing import Any

from producers.memory import CUDA, LEGACY, Memory, view

from edgecount import _ext


class JetsonImage:
    """A ``cudaImage`` of jetson-utils, as ``videoSource.Capture()`` gives it.

    dusty-nv/jetson-utils, python/bindings/PyCUDA.cpp (PyCudaImage_GetCudaArrayInterface,
    imageFormatToNumpyTypeStr, PyCudaImage_GetShape) at 01146d6. It names no stream: its kernels run
    in the default one. Grey has a third axis of 1.
    """

    def __init__(self, memory: Memory, shape: tuple[int, int, int]) -> None:
        self._memory = memory
        self.shape = shape
        self.__cuda_array_interface__ = {
            "shape": shape,
            "typestr": "<u1",
            "data": (memory.ptr, False),
            "version": 3,
        }


class NvcPlane:
    """A ``CAIMemoryView`` of PyNvVideoCodec, as ``DecodedFrame.cuda()`` gives one for each plane.

    PyNvVideoCodec 2.0, src/PyNvVideoCodec/src/PyNvDecoder.cpp (CAIMemoryView) and
    PyNvVideoCodec.cpp (the views of Pixel_Format_NV12). Lists in the place of tuples, a plane of
    one channel has three axes, and the stream is 0 unless the decoder was given one, then 2.
    """

    def __init__(self, memory: Memory, shape: list[int], strides: list[int], offset: int) -> None:
        self._memory = memory
        self.shape, self.stride, self.dataptr = shape, strides, memory.ptr + offset
        self.__cuda_array_interface__ = {
            "version": 3,
            "shape": shape,
            "strides": strides,
            "typestr": "|u1",
            "stream": 0,
            "data": (memory.ptr + offset, False),
            "gpuIdx": 0,
        }


class NvcFrame:
    """A ``DecodedFrame`` of PyNvVideoCodec in NV12, with both planes in one capsule.

    PyNvVideoCodec 2.0, src/PyNvVideoCodec/src/ExternalBuffer.cpp (dlpack, LoadDLPack). It cannot be
    cut, knows no max_version, and makes the stream that it is told wait for the decoder's event.
    """

    def __init__(self, memory: Memory, height: int, width: int) -> None:
        self._array = view(memory, (height * 3 // 2, width))
        self.shape = (height * 3 // 2, width)
        self._views = [
            NvcPlane(memory, [height, width, 1], [width, 1, 1], 0),
            NvcPlane(memory, [height // 2, width // 2, 2], [width, 2, 1], height * width),
        ]
        self._decoded = _ext.Event(memory.stream.device)
        self._decoded.record(memory.stream)

    def cuda(self) -> list[NvcPlane]:
        return self._views

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(self, stream: int = 0) -> Any:
        if stream == 0:
            raise RuntimeError("Invalid value for stream parameter")
        if stream != -1:
            _ext.Stream(self._array.device, handle=stream).wait(self._decoded)
        return self._array.__dlpack__(stream=-1)


class ServiceMakerTensor:
    """A tensor of DeepStream's pyservicemaker, as ``Buffer.extract(index)`` gives it.

    NVIDIA/DeepStream 9.2, src/service-maker/sources/python/src/bindings/tensor.h at 66b8fdb
    (TensorWrapper, module_tensor_bind): the capsule is of DLPack before 1.0, and the stream that it
    is told is not minded.
    """

    def __init__(self, memory: Memory, shape: tuple[int, int, int]) -> None:
        self._array = view(memory, shape)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(self, stream: int | None = None) -> Any:
        return self._array.__dlpack__(stream=-1)


class CvCudaBuffer:
    """An ``ExternalBuffer`` of CV-CUDA, as ``Tensor.cuda()`` and ``Image.cuda()`` give it.

    CVCUDA/CV-CUDA, python/mod_nvcv/ExternalBuffer.cpp at 35e01ea (dlpack, cudaArrayInterface). Both
    interfaces; the capsule is of DLPack before 1.0, and the stream that it is told is not minded.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...]) -> None:
        self._array = view(memory, shape)
        self.__cuda_array_interface__ = {
            "shape": shape,
            "strides": self._array.strides,
            "typestr": "|u1",
            "data": (memory.ptr, False),
            "version": 2,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CUDA, self._array.device)

    def __dlpack__(self, stream: int = 1) -> Any:
        return self._array.__dlpack__(stream=-1)


class CvCudaWritten(CvCudaBuffer):
    """An ``ExternalBuffer`` of a later CV-CUDA, of a tensor that one of its operators wrote.

    CVCUDA/CV-CUDA, python/mod_cvcuda/nvcv/ExternalBuffer.cpp at d32e893 (dlpack,
    InsertDLPackStreamSync, cudaArrayInterface). It hands over what was written in a stream, but a
    null handle, which the default stream has, counts as nothing to wait for; -1 in the interface
    says so.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...]) -> None:
        super().__init__(memory, shape)
        self._stream = memory.stream
        stream = -1 if self._stream.handle <= LEGACY else self._stream.handle
        self.__cuda_array_interface__ |= {"stream": stream, "version": 3}

    def __dlpack__(self, stream: int = 1, max_version: tuple[int, int] | None = None) -> Any:
        if self._stream.handle > LEGACY:
            written = _ext.Event(self._array.device)
            written.record(self._stream)
            _ext.Stream(self._array.device, handle=stream).wait(written)
        return self._array.__dlpack__(stream=-1, max_version=max_version)


class VpiBuffer:
    """A ``CudaBuffer`` of VPI, as ``Image.rlock_cuda()`` gives it.

    Documented, not read: VPI 4 Python reference, vpi.CudaBuffer (shape, dtype and the interface).
    The fields are those of CV-CUDA, whose buffer of this name came from VPI.
    """

    def __init__(self, memory: Memory, shape: tuple[int, ...]) -> None:
        self._memory = memory
        self.shape = shape
        self.__cuda_array_interface__ = {
            "shape": shape,
            "strides": (memory.pitch, *shape[2:], 1),
            "typestr": "|u1",
            "data": (memory.ptr, False),
            "version": 2,
        }


class GpuMat:
    """A ``cv2.cuda.GpuMat`` of OpenCV.

    opencv/opencv, modules/core/misc/python/pyopencv_cuda.hpp at 1419307 (fillDLPackTensor) and
    to_dlpack of modules/python/src2. Rows are padded, there are always three axes, the device is
    always 0, and the number of the stream is read as a C int and not minded.
    """

    def __init__(self, memory: Memory, shape: tuple[int, int, int]) -> None:
        self._array = view(memory, shape)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (CUDA, 0)

    def __dlpack__(
        self, stream: int = 0, max_version: Any = None, dl_device: Any = None, copy: bool = False
    ) -> Any:
        if not -(2**31) <= stream < 2**31:
            raise OverflowError("signed integer is greater than maximum")
        return self._array.__dlpack__(stream=-1)
