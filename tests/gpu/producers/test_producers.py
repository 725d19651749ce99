"""Every library's frames are taken without a copy, after the work that makes them, and counted."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gpu_frames import assert_same
from numpy.typing import NDArray
from producers import recorded_arrays, recorded_frames
from producers.memory import LEGACY, Memory

from edgecount import EdgeCounter, NV12Frame, PixelFrame, _ext
from edgecount.errors import InputError
from edgecount.runtime.frames.intake import FrameIntake

Picture = NDArray[np.uint8]
# In quotes: an extension without its CUDA part has no streams.
Make = Callable[[Picture, "_ext.Stream", ctypes.CDLL], Any]

HEIGHT, WIDTH = 96, 128


def rows_of(picture: Picture) -> Picture:
    return picture.reshape(picture.shape[0], -1)


def whole(kind: Callable[..., Any], order: str = "bgr", pad: int = 0, **options: Any) -> Make:
    """Return what makes a frame of one array."""

    def make(picture: Picture, stream: _ext.Stream, driver: ctypes.CDLL) -> Any:
        rows = rows_of(picture)
        memory = Memory(rows, stream, rows.shape[1] + pad if pad else None)
        if kind is recorded_arrays.TorchTensor:
            options["driver"] = driver
        made = kind(memory, picture.shape, **options)
        return memory, made if order == "bgr" else PixelFrame(made, order)

    return make


def decoded(wrap: Callable[[recorded_frames.NvcFrame], Any]) -> Make:
    """Return what makes a frame of a decoder, whose luma lies above its chroma."""

    def make(picture: Picture, stream: _ext.Stream, _: ctypes.CDLL) -> Any:
        memory = Memory(picture, stream)
        return memory, wrap(recorded_frames.NvcFrame(memory, HEIGHT, WIDTH))

    return make


BGR, FOUR, GREY = (HEIGHT, WIDTH, 3), (HEIGHT, WIDTH, 4), (HEIGHT, WIDTH, 1)
NV12 = (HEIGHT * 3 // 2, WIDTH)
OWN = None  # a stream of the library's own

# What is passed to the counter, the shape of its bytes, and the stream in which the library works.
PRODUCERS: dict[str, tuple[Make, tuple[int, ...], int | None]] = {
    "jetson-utils, rgb8": (whole(recorded_frames.JetsonImage, "rgb"), BGR, LEGACY),
    "jetson-utils, rgba8": (whole(recorded_frames.JetsonImage, "rgba"), FOUR, LEGACY),
    "jetson-utils, gray8": (whole(recorded_frames.JetsonImage, "grey"), GREY, LEGACY),
    "PyNvVideoCodec, planes": (decoded(lambda frame: NV12Frame(*frame.cuda())), NV12, LEGACY),
    "PyNvVideoCodec, frame": (decoded(NV12Frame.from_buffer), NV12, OWN),
    "pyservicemaker": (whole(recorded_frames.ServiceMakerTensor, "rgb", pad=128), BGR, LEGACY),
    "VPI": (whole(recorded_frames.VpiBuffer, pad=128), BGR, LEGACY),
    "CV-CUDA": (whole(recorded_frames.CvCudaBuffer, "rgb", pad=64), BGR, LEGACY),
    "CV-CUDA, written": (whole(recorded_frames.CvCudaWritten, "rgb"), BGR, LEGACY),
    "CV-CUDA, in a stream": (whole(recorded_frames.CvCudaWritten, "rgb"), BGR, OWN),
    "cv2.cuda": (whole(recorded_frames.GpuMat, pad=128), BGR, LEGACY),
    "cv2.cuda, BGRA": (whole(recorded_frames.GpuMat, "bgra", pad=512), FOUR, LEGACY),
    "torch": (whole(recorded_arrays.TorchTensor), BGR, OWN),
    "torch, padded": (whole(recorded_arrays.TorchTensor, pad=3), BGR, OWN),
    "CuPy": (whole(recorded_arrays.CupyArray), BGR, OWN),
    "Numba": (whole(recorded_arrays.NumbaArray, bound=False), BGR, LEGACY),
    "Numba, bound": (whole(recorded_arrays.NumbaArray, bound=True), BGR, OWN),
    "PyCUDA": (whole(recorded_arrays.PycudaArray), BGR, LEGACY),
    "Holoscan": (whole(recorded_arrays.HoloscanTensor, "rgb"), BGR, LEGACY),
}


def on_host(frame: Any, picture: Picture) -> Any:
    """Return what a frame on a GPU is, with its pixels in the host's memory."""
    if isinstance(frame, NV12Frame):
        return NV12Frame.from_buffer(picture)
    return PixelFrame(picture, frame.order) if isinstance(frame, PixelFrame) else picture


@pytest.mark.parametrize("name", PRODUCERS)
def test_taken_without_a_copy_and_counted(name, make_engine, tiny_model, driver) -> None:
    make, shape, handle = PRODUCERS[name]
    picture = np.random.default_rng(7).integers(0, 256, shape, np.uint8)
    stream = _ext.Stream(handle=handle) if handle else _ext.Stream()
    memory, frame = make(picture, stream, driver)
    taken: list[Any] = []

    class Counter(EdgeCounter):
        def refine(self, frame: Any, result: Any) -> Any:
            taken.append(frame)
            return result

    found = Counter(tiny_model, backend=make_engine()).count(frame)
    (checked,) = taken
    assert checked.pixels.ptr == memory.ptr
    if checked.chroma is not None:
        assert checked.chroma.ptr == memory.ptr + HEIGHT * WIDTH
    assert_same(found, EdgeCounter(tiny_model).count(on_host(frame, picture)))


@pytest.mark.parametrize("name", PRODUCERS)
def test_taken_on_the_second_gpu(name, driver) -> None:
    """Torch's current device is another, and OpenCV says 0 of every one."""
    if _ext.cuda_device_count() < 2:
        pytest.skip("needs two GPUs")
    make, shape, handle = PRODUCERS[name]
    picture = np.random.default_rng(8).integers(0, 256, shape, np.uint8)
    stream = _ext.Stream(1, handle=handle) if handle else _ext.Stream(1)
    memory, frame = make(picture, stream, driver)
    taken = FrameIntake(1).take(frame)
    reader = _ext.Stream(1)
    assert taken.ready is not None
    reader.wait(taken.ready)
    found = np.zeros(memory.whole.shape, np.uint8)
    reader.download(memory.whole, found)
    reader.synchronize()
    assert taken.pixels.ptr == memory.ptr
    np.testing.assert_array_equal(found[:, : rows_of(picture).shape[1]], rows_of(picture))


@pytest.mark.parametrize("name", ["torch", "cv2.cuda", "CuPy", "PyCUDA", "pyservicemaker"])
def test_a_frame_on_another_gpu(name, driver) -> None:
    if _ext.cuda_device_count() < 2:
        pytest.skip("needs two GPUs")
    make, shape, handle = PRODUCERS[name]
    stream = _ext.Stream(handle=handle) if handle else _ext.Stream()
    _, frame = make(np.zeros(shape, np.uint8), stream, driver)
    with pytest.raises(InputError, match=r"cannot be taken: .*CUDA device 1.* got device 0$"):
        FrameIntake(1).take(frame)


def test_a_decoder_s_frame_in_the_host_s_memory() -> None:
    """PyNvVideoCodec with usedevicememory=False: it has a shape, and cannot be cut."""
    frame = type("DecodedFrame", (), {"shape": NV12})()
    frame.__dlpack_device__ = lambda: (1, 0)
    with pytest.raises(InputError, match=r"got a DecodedFrame in the host's memory.*from_dlpack"):
        NV12Frame.from_buffer(frame)


@pytest.mark.parametrize("shape", [(95, 128), (96, 128, 3), (144,)])
def test_a_buffer_on_a_gpu_that_holds_no_two_planes(shape) -> None:
    memory = Memory(np.zeros((shape[0], int(np.prod(shape[1:]))), np.uint8), _ext.Stream())
    array = memory.whole if len(shape) == 2 else recorded_frames.view(memory, shape)
    frame = NV12Frame.from_buffer(array)
    with pytest.raises(InputError, match=r"expected shape \(H \* 3 / 2, W\), luma above chroma"):
        FrameIntake(0).take(frame)
