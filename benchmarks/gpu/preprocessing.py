"""The preprocessing of a camera's frame on a GPU, beside torch and OpenCV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from extension import EMULATED, _ext, to_gpu
from numpy.typing import NDArray
from timing import gpu_us, graph_us, host_us

MEAN, SCALE = (127.5,) * 3, (1 / 127.5,) * 3
PADDING = -1.0


@dataclass(frozen=True)
class FrameCase:
    """A frame of "bgr" or "nv12_bt601" pixels, and the network input of a dtype that it becomes.

    `resized` is the (height, width) of the frame inside the input, `padded` that of the input.
    """

    pixels: str
    height: int
    width: int
    resized: tuple[int, int]
    padded: tuple[int, int]
    dtype: str = "float32"

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Shape of the frame as one array."""
        if self.pixels == "nv12_bt601":
            return self.height * 3 // 2, self.width
        return self.height, self.width, 3

    @property
    def geometry(self) -> tuple[Any, ...]:
        """Arguments that `_ext.preprocess` and `_ext.Preprocessor` share."""
        return *self.padded, *self.resized, MEAN, SCALE, True, PADDING


def cases(quick: bool) -> Iterator[FrameCase]:
    """Yield all cases that are measured."""
    sizes = [
        ((720, 1280), (720, 1280), (736, 1280)),
        ((1080, 1920), (1080, 1920), (1088, 1920)),
        ((1080, 1920), (576, 1024), (576, 1024)),
        ((2160, 3840), (1152, 2048), (1152, 2048)),
    ]
    if EMULATED:
        sizes = [((16, 32), (16, 32), (32, 32)), ((32, 64), (20, 40), (32, 64))]
    for frame, resized, padded in sizes[:: 3 if quick else 1]:
        for pixels, dtype in (("bgr", "float32"), ("nv12_bt601", "float32"), ("bgr", "float16")):
            yield FrameCase(pixels, *frame, resized, padded, dtype)


class Frames:
    """The frame and the input of a case, on the GPU and on the host."""

    def __init__(self, case: FrameCase) -> None:
        self.case, self.stream, self.nv12 = case, _ext.Stream(), case.pixels == "nv12_bt601"
        self.host = np.random.default_rng(0).integers(0, 256, case.frame_shape, np.uint8)
        self.frame = to_gpu(self.host)
        self.input = to_gpu(np.zeros((3, *case.padded), case.dtype))
        self.preprocessor = _ext.Preprocessor(
            case.height, case.width, *case.geometry, pixels=case.pixels, dtype=case.dtype
        )

    def planes(self, frame: Any) -> tuple[Any, Any]:
        """Return the image and the chroma of a frame; None for that of BGR."""
        height = self.case.height
        return (frame[:height], frame[height:]) if self.nv12 else (frame, None)

    def enqueue(self, _: int = 0) -> None:
        """Preprocess the frame in the GPU's memory."""
        self.enqueue_from(self.frame)

    def enqueue_from(self, frame: Any) -> None:
        """Preprocess a frame where it lies: in the GPU's memory, or in pinned memory."""
        image, chroma = self.planes(frame)
        self.preprocessor.enqueue(image, self.input, self.stream, chroma=chroma)

    def on_cpu(self) -> NDArray[np.float32]:
        """Return the input that the C++ on the CPU makes."""
        out = np.empty((3, *self.case.padded), np.float32)
        image, chroma = self.planes(self.host)
        _ext.preprocess(image, out, *self.case.geometry, chroma, pixels=self.case.pixels)
        return out

    def check(self) -> None:
        """Refuse to time values that are not the CPU's."""
        self.enqueue()
        found = np.empty((3, *self.case.padded), self.case.dtype)
        self.stream.download(self.input, found)
        self.stream.synchronize()
        np.testing.assert_array_equal(found, self.on_cpu().astype(self.case.dtype))


def measure(case: FrameCase) -> dict[str, Any]:
    """Measure the microseconds of a case by each library that is here.

    The same frame again and again: it lies in the GPU's cache, as one that was just uploaded does.
    `in_place_us` is preprocessing from pinned memory, in place of `us` and `upload_us` together.
    """
    frames = Frames(case)
    frames.check()
    us = graph_us(frames.enqueue, frames.stream, 8)
    least_bytes = frames.frame.nbytes + frames.input.nbytes
    buffer = _ext.PinnedBuffer(frames.host.nbytes)
    pinned = buffer.array(frames.host.shape, "uint8")
    pinned[...] = frames.host
    in_place = buffer.device_array(frames.host.shape, "uint8")
    return {
        **asdict(case),
        "bytes": least_bytes,
        "us": us,
        "gigabytes_per_second": least_bytes / us / 1e3,
        "upload_us": gpu_us(lambda _: frames.stream.upload(frames.frame, pinned), frames.stream),
        "in_place_us": graph_us(lambda _: frames.enqueue_from(in_place), frames.stream, 8),
        "torch_us": measure_torch(frames),
        "cpu_us": host_us(frames.on_cpu),
        "opencv_us": measure_opencv(frames),
    }


def measure_torch(frames: Frames) -> float | None:
    """Measure the microseconds in torch on the same GPU; None without it, and for NV12."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return None
    case = frames.case
    if frames.nv12 or not torch.cuda.is_available():
        return None
    frame = torch.from_dlpack(frames.frame)
    dtype = getattr(torch, case.dtype)
    margin = (0, case.padded[1] - case.resized[1], 0, case.padded[0] - case.resized[0])

    def preprocess(_: int) -> object:
        planes = frame.permute(2, 0, 1)[None].float().flip(1)
        if case.resized != (case.height, case.width):
            planes = torch.nn.functional.interpolate(
                planes, case.resized, mode="bilinear", align_corners=False, antialias=True
            )
        normalised = (planes - MEAN[0]) * SCALE[0]
        return torch.nn.functional.pad(normalised, margin, value=PADDING).to(dtype)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        return gpu_us(preprocess, _ext.Stream(handle=side.cuda_stream))


def measure_opencv(frames: Frames) -> float | None:
    """Measure the microseconds in OpenCV on the CPU: resized without a filter, not padded."""
    try:
        import cv2  # noqa: PLC0415
    except ImportError:
        return None

    def preprocess() -> object:
        image = frames.host
        if frames.nv12:
            image = cv2.cvtColor(image, cv2.COLOR_YUV2BGR_NV12)
        size = frames.case.resized[::-1]
        return cv2.dnn.blobFromImage(image, SCALE[0], size, MEAN, swapRB=True)

    return host_us(preprocess)
