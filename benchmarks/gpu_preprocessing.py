"""The way from a camera's frame to a network's input on a GPU, beside torch and OpenCV."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from gpu_extension import EMULATED, _ext
from gpu_timing import busy_us, recorded_us, waited_us
from numpy.typing import NDArray

MEAN, SCALE = (127.5,) * 3, (1 / 127.5,) * 3
PADDING = -1.0


@dataclass(frozen=True)
class Job:
    """A frame and the input that it becomes.

    Attributes:
        height: of the frame in pixels.
        width: of the frame in pixels.
        resized: (height, width) of the frame inside the input.
        padded: (height, width) of the input.
        pixels: "bgr" or "nv12".
        dtype: of the input.
    """

    height: int
    width: int
    resized: tuple[int, int]
    padded: tuple[int, int]
    pixels: str = "bgr"
    dtype: str = "float32"

    @property
    def frame_shape(self) -> tuple[int, ...]:
        """Of the frame as one array."""
        if self.pixels == "nv12":
            return self.height * 3 // 2, self.width
        return self.height, self.width, 3

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Of the input."""
        return 3, *self.padded

    @property
    def least_bytes(self) -> int:
        """Bytes that have to be read and written once."""
        size = np.dtype(self.dtype).itemsize
        return int(np.prod(self.frame_shape) + np.prod(self.input_shape) * size)


def jobs(quick: bool) -> Iterator[Job]:
    """All that are measured."""
    sizes = [
        ((720, 1280), (720, 1280), (736, 1280)),
        ((1080, 1920), (1080, 1920), (1088, 1920)),
        ((1080, 1920), (576, 1024), (576, 1024)),
        ((2160, 3840), (1152, 2048), (1152, 2048)),
    ]
    if EMULATED:
        sizes = [((16, 32), (16, 32), (32, 32)), ((32, 64), (20, 40), (32, 64))]
    for (height, width), resized, padded in sizes[:: 3 if quick else 1]:
        for pixels in ("bgr", "nv12"):
            yield Job(height, width, resized, padded, pixels)
        yield Job(height, width, resized, padded, "bgr", "float16")


class Frames:
    """A job's frame and input on the GPU and on the host."""

    def __init__(self, job: Job) -> None:
        self.job, self.stream = job, _ext.Stream()
        self.host = np.random.default_rng(0).integers(0, 256, job.frame_shape, np.uint8)
        self.frame = _ext.DeviceBuffer(self.host.nbytes).array(job.frame_shape, "uint8")
        self.stream.upload(self.frame, self.host)
        size = int(np.prod(job.input_shape)) * np.dtype(job.dtype).itemsize
        self.input = _ext.DeviceBuffer(size).array(job.input_shape, job.dtype)
        self.preprocessor = _ext.Preprocessor(
            job.height,
            job.width,
            *job.padded,
            *job.resized,
            MEAN,
            SCALE,
            True,
            PADDING,
            nv12=job.pixels == "nv12",
            dtype=job.dtype,
        )
        self.stream.synchronize()

    def enqueue(self, _: int = 0) -> None:
        """Preprocess the frame."""
        if self.job.pixels == "nv12":
            luma, chroma = self.frame[: self.job.height], self.frame[self.job.height :]
            self.preprocessor.enqueue(luma, self.input, self.stream, chroma=chroma)
        else:
            self.preprocessor.enqueue(self.frame, self.input, self.stream)

    def on_cpu(self) -> NDArray[np.float32]:
        """The same by the C++ on the CPU."""
        job = self.job
        out = np.empty(job.input_shape, np.float32)
        nv12 = job.pixels == "nv12"
        planes = (self.host[: job.height], self.host[job.height :]) if nv12 else (self.host, None)
        _ext.preprocess(
            planes[0], out, *job.padded, *job.resized, MEAN, SCALE, True, PADDING, planes[1]
        )
        return out

    def check(self) -> None:
        """Refuse to time what gives other values than the CPU does."""
        self.enqueue()
        found = np.empty(self.job.input_shape, self.job.dtype)
        self.stream.download(self.input, found)
        self.stream.synchronize()
        np.testing.assert_array_equal(found, self.on_cpu().astype(self.job.dtype))


def measure(job: Job) -> dict[str, Any]:
    """Microseconds of a job in all ways that there are.

    The same frame again and again: it lies in the GPU's cache, as one that was just uploaded does.
    """
    frames = Frames(job)
    frames.check()
    us = recorded_us(frames.enqueue, frames.stream, 8)
    return {
        **asdict(job),
        "bytes": job.least_bytes,
        "us": us,
        "gigabytes_per_second": job.least_bytes / us / 1e3,
        "upload_us": measure_upload(frames),
        "cpu_us": waited_us(frames.on_cpu),
        "torch_us": measure_torch(frames),
        "opencv_us": measure_opencv(frames),
    }


def measure_upload(frames: Frames) -> float:
    """Microseconds of the frame's way from pinned memory to the GPU."""
    pinned = _ext.PinnedBuffer(frames.host.nbytes).array(frames.host.shape, "uint8")
    pinned[...] = frames.host
    return busy_us(lambda _: frames.stream.upload(frames.frame, pinned), frames.stream)


def measure_torch(frames: Frames) -> float | None:
    """Microseconds of the usual way in torch on the same GPU; None without it, and for NV12."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return None
    job = frames.job
    if job.pixels == "nv12" or not torch.cuda.is_available():
        return None
    frame = torch.from_dlpack(frames.frame)
    dtype = getattr(torch, job.dtype)
    margin = (0, job.padded[1] - job.resized[1], 0, job.padded[0] - job.resized[0])

    def usual(_: int) -> object:
        planes = frame.permute(2, 0, 1)[None].float().flip(1)
        if job.resized != (job.height, job.width):
            planes = torch.nn.functional.interpolate(
                planes, job.resized, mode="bilinear", align_corners=False, antialias=True
            )
        normalised = (planes - MEAN[0]) * SCALE[0]
        return torch.nn.functional.pad(normalised, margin, value=PADDING).to(dtype)

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        return busy_us(usual, _ext.Stream(handle=side.cuda_stream))


def measure_opencv(frames: Frames) -> float | None:
    """Microseconds of the usual way on the CPU: resized without a filter, not padded, float32."""
    try:
        import cv2  # noqa: PLC0415
    except ImportError:
        return None
    job = frames.job

    def convert() -> NDArray[np.uint8]:
        if job.pixels == "nv12":
            return cv2.cvtColor(frames.host, cv2.COLOR_YUV2BGR_NV12)
        return frames.host

    usual: Callable[[], object] = lambda: cv2.dnn.blobFromImage(  # noqa: E731
        convert(), SCALE[0], job.resized[::-1], MEAN, swapRB=True
    )
    return waited_us(usual)
