"""How long a frame takes through EdgeCounter on a GPU, beside the bare engine.

    python benchmarks/gpu/pipeline.py [MODEL] [--size 1280x720] [--quick] [--json FILE]

MODEL is whatever EdgeCounter takes: a bundled model's name, an .onnx file, or the folder that
`edgecount export` wrote. Every backend that works here is measured on frames of the host and on
frames that lie on the GPU already, one by one, many in one call, and from a video with its
decoding. Where no engine is installed for the GPU, PyTorch runs the model in its place; its share
is no measure of an engine's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from extension import EMULATED, require_gpu, to_gpu
from rows import Numbers
from timing import gpu_us, graph_us, host_us

from edgecount import EdgeCounter
from edgecount._options import BACKENDS
from edgecount.errors import EdgeCountError
from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.device import DeviceBackend
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.preprocess import input_geometry
from edgecount.scenes import render_clip

CAMERAS = 4
PATIENCE = 0.1 if EMULATED else 3.0  # seconds for frames that are counted one by one
NVIDIA = {"tensorrt", "tensorrt-rtx", "onnxruntime-cuda"}
STEPS = ("preprocess", "infer", "postprocess")
ABOUT = """\
## Pipeline

Times are milliseconds of a frame. "engine" is the bare engine on tensors where it wants them.
Preprocessing includes the upload of a frame of the host. The share is that of pre- and
postprocessing in the engine's time."""


def main() -> None:
    """Measure every backend that works, print the tables, and write the files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL")
    parser.add_argument("--size", default="1280x720", help="of the frames, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=200, help="counted one by one")
    parser.add_argument("--quick", action="store_true", help="a quarter of the frames")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    options = parser.parse_args()
    device = require_gpu()
    width, height = (int(side) for side in options.size.split("x"))
    frames = render(width, height)
    name = open_model(options.model).manifest.name
    known = {"device": device, "model": name, "size": [height, width], "frames": []}
    numbers = Numbers(options.json, known, ABOUT)
    runs = max(2, options.frames // (4 if options.quick else 1))
    title = f"Frames of {width} x {height} through {name}"
    for backend in backends(options.model, numbers.found["skipped"]):
        with EdgeCounter(options.model, backend=backend) as counter:
            label = backend if isinstance(backend, str) else backend.name
            numbers.rows("frames", title, measure(counter, label, frames, runs), dict)
    numbers.print_skipped()


def backends(model: str, skipped: list[str]) -> list[Backend | str]:
    """Return the engines that work here; why others do not is added to `skipped`."""
    usable: list[Backend | str] = []
    for name in BACKENDS:
        if name in ("auto", "fake"):
            continue
        try:
            EdgeCounter(model, backend=name).close()
            usable.append(name)
        except EdgeCountError as error:
            skipped.append(f"{name}: {error}")
    if not NVIDIA & set(usable):
        try:
            from torch_engine import TorchEngine  # noqa: PLC0415

            usable.append(TorchEngine(open_model(model)))
        except (ImportError, EdgeCountError) as error:
            skipped.append(f"PyTorch as a stand-in: {error}")
    # The goals are about engines on the GPU: first.
    return sorted(usable, key=lambda backend: isinstance(backend, str) and backend not in NVIDIA)


def render(width: int, height: int) -> list[Any]:
    """Return frames of a rendered clip, uint8 (H, W, 3) BGR, each with its people elsewhere.

    Rendering takes seconds a frame and is not what is measured: of two frames, their mirror images
    and halves that change places make eight.
    """
    people = max(4, width * height // 12000)
    clip = render_clip(people, frames=2, fps=1.0, size=(width, height), seed=5)
    frames = [scene.image for scene in clip]
    if EMULATED:
        return frames
    frames += [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]
    return frames + [np.roll(frame, width // 2, axis=1) for frame in frames]


def measure(
    counter: EdgeCounter, name: str, frames: Sequence[Any], runs: int
) -> Iterator[dict[str, Any]]:
    """Measure a backend: give a row for each way of the frames, in milliseconds per frame."""
    device = isinstance(counter.backend, DeviceBackend)
    engine = engine_ms(counter, frames[0].shape[:2])
    common = {"backend": name, "device": counter.backend.device, "on_gpu": device}
    common |= {"engine": engine, "count": counter.count(frames[0]).count}
    sources = {"frames of the host": frames}
    if device:  # nothing overlaps on the CPU
        sources["frames on the GPU"] = [to_gpu(frame) for frame in frames]
    for source, given in sources.items():
        row = one_by_one(counter, given, runs)
        share = (row["preprocess"] + row["postprocess"]) / engine
        yield {**common, "source": source, **row, "share_of_engine": share}
    if not device:
        return
    # Calls in which the next frames are on their way while one is counted.
    calls = {
        f"{source}, together": partial(counter.count_batch, f) for source, f in sources.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        if clip := write_clip(Path(folder), frames):
            calls["a video"] = lambda: list(counter.stream(clip))
            calls[f"{CAMERAS} videos"] = lambda: list(counter.stream_many([clip] * CAMERAS))
        for source, call in calls.items():
            yield {**common, "source": source, **many(call)}


def engine_ms(counter: EdgeCounter, size: tuple[int, int]) -> float:
    """Measure the milliseconds of the bare engine on one image."""
    spec, backend = counter.manifest.input, counter.backend
    limits = backend.sizes if isinstance(backend, DeviceBackend) else None
    geometry = input_geometry(size[::-1], spec, spec.max_side, limits)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 3, *geometry.padded)).astype(np.float32)
    if not isinstance(backend, DeviceBackend):
        return host_us(lambda: backend.infer({spec.name: image})) / 1000
    with backend.open_worker() as worker:
        bound = worker.bind((backend.batches[0], 3, *geometry.padded))
        for index in range(backend.batches[0]):
            source = np.ascontiguousarray(image[0], bound.input.dtype)
            worker.stream.upload(bound.input[index], source)
        worker.enqueue()
        worker.stream.synchronize()
        if worker.capturable:
            return graph_us(lambda _: worker.enqueue(), worker.stream, 1) / 1000
        return gpu_us(lambda _: worker.enqueue(), worker.stream) / 1000


def one_by_one(counter: EdgeCounter, frames: Sequence[Any], runs: int) -> dict[str, float]:
    """Measure frames one after the other: medians of each step and of the whole call."""
    steps: dict[str, list[float]] = {step: [] for step in (*STEPS, "total")}
    begun = time.perf_counter()
    for run in range(-3, runs):  # the first ones warm up
        start = time.perf_counter()
        timings = counter.count(frames[run % len(frames)]).timings
        total = (time.perf_counter() - start) * 1000
        if run >= 0:
            for step, value in {**timings, "total": total}.items():
                steps[step].append(value)
        if run > 1 and time.perf_counter() - begun > PATIENCE:
            break
    medians = {step: statistics.median(values) for step, values in steps.items()}
    return {**medians, "fps": 1000 / medians["total"]}


def many(call: Callable[[], Sequence[Any]]) -> dict[str, float]:
    """Measure the milliseconds per frame of a call that counts many."""
    call()  # warms up
    times: list[float] = []
    while len(times) < 10 and sum(times) < 1000 * PATIENCE / 2:
        start = time.perf_counter()
        number = len(call())
        times.append((time.perf_counter() - start) * 1000 / number)
    total = statistics.median(times)
    return {"total": total, "fps": 1000 / total}


def write_clip(folder: Path, frames: Sequence[Any]) -> Path | None:
    """Write the frames eight times as a video; None where this OpenCV cannot write one."""
    path = folder / "clip.avi"
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (width, height))
    if not writer.isOpened():
        return None
    for frame in [*frames] * (1 if EMULATED else 8):
        writer.write(frame)
    writer.release()
    return path


if __name__ == "__main__":
    main()
