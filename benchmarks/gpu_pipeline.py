"""How long a frame takes through EdgeCounter on a GPU, beside the bare engine.

    python benchmarks/gpu_pipeline.py [MODEL] [--size 1280x720] [--quick] [--json FILE]

MODEL is whatever EdgeCounter takes: a bundled model's name, an .onnx file, or the folder that
`edgecount export` wrote. Every backend that works here is measured on frames of the host and on
frames that lie on the GPU already, one by one, many in one call, and from a video with its
decoding. "engine" is the bare engine on tensors where it wants them. Preprocessing includes the
upload of a frame from the host.

Where no engine is installed for the GPU, PyTorch runs the model in its place; its share is no
measure of an engine's.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import gpu_extension
import numpy as np
from gpu_extension import EMULATED, _ext
from gpu_kernels import device_name
from gpu_rows import Numbers, print_rows
from gpu_timing import busy_us, record, waited_us

from edgecount import EdgeCounter
from edgecount.errors import EdgeCountError
from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.device import DeviceBackend
from edgecount.runtime.backends.select import BACKENDS
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline.preprocess import plan_input
from edgecount.scenes import render_clip

CAMERAS = 4
PATIENCE = 0.1 if EMULATED else 3.0  # seconds for frames that are counted one by one
STEPS = ("preprocess", "infer", "postprocess")


def main() -> None:
    """Measure every backend that works, print, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default=DEFAULT_MODEL, metavar="MODEL")
    parser.add_argument("--size", default="1280x720", help="of the frames, WIDTHxHEIGHT")
    parser.add_argument("--frames", type=int, default=200, help="counted one by one")
    parser.add_argument("--quick", action="store_true", help="a quarter of the frames")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers there")
    options = parser.parse_args()
    gpu_extension.require_gpu()
    width, height = (int(side) for side in options.size.split("x"))
    frames = render(width, height)
    known = {
        "device": device_name(),
        "model": open_model(options.model).manifest.name,
        "size": [height, width],
        "backends": [],
    }
    numbers = Numbers(options.json, known)
    runs = max(2, options.frames // (4 if options.quick else 1))
    for name, backend in backends(options.model, numbers.found["skipped"]):
        with EdgeCounter(options.model, backend=backend) as counter:
            row = measure(counter, name, frames, runs)
        report(row)
        numbers.found["backends"].append(row)
        numbers.save()
    numbers.show_skipped()


def backends(model: str, skipped: list[str]) -> list[tuple[str, Backend | str]]:
    """The engines that work here, by name; why the others do not goes to `skipped`."""
    usable: list[tuple[str, Backend | str]] = []
    for name in BACKENDS:
        if name in ("auto", "fake"):
            continue
        try:
            EdgeCounter(model, backend=name).close()
            usable.append((name, name))
        except EdgeCountError as error:
            skipped.append(f"{name}: {error}")
    if all(name == "onnxruntime" for name, _ in usable):
        try:
            from torch_engine import TorchEngine  # noqa: PLC0415

            engine = TorchEngine(open_model(model))
            usable.append((engine.name, engine))
        except (ImportError, EdgeCountError) as error:
            skipped.append(f"PyTorch as a stand-in: {error}")
    # What the goals are about comes first.
    return sorted(usable, key=lambda pair: pair[0] == "onnxruntime")


def render(width: int, height: int) -> list[Any]:
    """Frames of a rendered clip, uint8 (H, W, 3) BGR, each with its people elsewhere.

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


def measure(counter: EdgeCounter, name: str, frames: Sequence[Any], runs: int) -> dict[str, Any]:
    """All numbers of one backend, in milliseconds per frame."""
    device = isinstance(counter.backend, DeviceBackend)
    engine = engine_ms(counter, frames[0].shape[:2])
    ways = [one_by_one("frames of the host", counter, frames, runs)]
    if device:  # nothing overlaps on the CPU
        on_gpu = [upload(frame) for frame in frames]
        ways.append(one_by_one("frames on the GPU", counter, on_gpu, runs))
        ways += together(counter, frames, on_gpu)
    for way in ways:
        if "preprocess" in way:
            way["share_of_engine"] = (way["preprocess"] + way["postprocess"]) / engine
    return {
        "backend": name,
        "device": counter.backend.device,
        "on_gpu": device,
        "engine": engine,
        "ways": ways,
        "count": counter.count(frames[0]).count,
    }


def together(
    counter: EdgeCounter, frames: Sequence[Any], on_gpu: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    """Ways in which the next frames are on their way while one is counted."""
    yield many("frames of the host, together", lambda: counter.count_batch(frames))
    yield many("frames on the GPU, together", lambda: counter.count_batch(on_gpu))
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder), frames)
        if clip is not None:
            cameras = [clip] * CAMERAS
            yield many("a video", lambda: list(counter.stream(clip)))
            yield many(f"{CAMERAS} videos", lambda: list(counter.stream_many(cameras)))


def engine_ms(counter: EdgeCounter, size: tuple[int, int]) -> float:
    """Milliseconds of the bare engine on one image."""
    spec = counter.manifest.input
    backend = counter.backend
    limits = backend.sizes if isinstance(backend, DeviceBackend) else None
    plan = plan_input(size[::-1], spec, spec.max_side, limits)
    image = np.random.default_rng(1).uniform(-1, 1, (1, 3, *plan.padded)).astype(np.float32)
    if not isinstance(backend, DeviceBackend):
        return waited_us(lambda: backend.infer({spec.name: image})) / 1000
    with backend.open_worker() as worker:
        bound = worker.bind((backend.batches[0], 3, *plan.padded))
        for index in range(backend.batches[0]):
            source = np.ascontiguousarray(image[0], bound.input.dtype)
            worker.stream.upload(bound.input[index], source)
        worker.enqueue()
        worker.stream.synchronize()
        if worker.capturable:
            graph = record(lambda _: worker.enqueue(), worker.stream)
            return busy_us(lambda _: graph.launch(worker.stream), worker.stream) / 1000
        return busy_us(lambda _: worker.enqueue(), worker.stream) / 1000


def one_by_one(name: str, counter: EdgeCounter, frames: Sequence[Any], runs: int) -> dict[str, Any]:
    """Medians of each step and of the whole call."""
    steps: dict[str, list[float]] = {step: [] for step in (*STEPS, "total")}
    begun = time.perf_counter()
    for run in range(-3, runs):  # the first ones warm up
        start = time.perf_counter()
        timings = counter.count(frames[run % len(frames)]).timings
        total = (time.perf_counter() - start) * 1000
        if run >= 0:
            steps["total"].append(total)
            for step in STEPS:
                steps[step].append(timings[step])  # type: ignore[literal-required]
        if run > 1 and time.perf_counter() - begun > PATIENCE:
            break
    medians = {step: statistics.median(values) for step, values in steps.items()}
    return {"way": name, **medians, "fps": 1000 / medians["total"]}


def many(name: str, call: Callable[[], Sequence[Any]]) -> dict[str, Any]:
    """Milliseconds per frame of a call that counts many."""
    call()  # warms up
    times: list[float] = []
    while len(times) < 10 and sum(times) < 1000 * PATIENCE / 2:
        start = time.perf_counter()
        number = len(call())
        times.append((time.perf_counter() - start) * 1000 / number)
    total = statistics.median(times)
    return {"way": name, "total": total, "fps": 1000 / total}


def upload(frame: Any) -> _ext.DeviceArray:
    """A copy on the GPU."""
    stream = _ext.Stream()
    target = _ext.DeviceBuffer(frame.nbytes).array(frame.shape, "uint8")
    stream.upload(target, np.ascontiguousarray(frame))
    stream.synchronize()
    return target


def write_clip(folder: Path, frames: Sequence[Any]) -> Path | None:
    """The frames, eight times over, as a video; None where this OpenCV cannot write one."""
    path = folder / "clip.avi"
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25.0, (width, height))
    if not writer.isOpened():
        return None
    for frame in [*frames] * (1 if EMULATED else 8):
        writer.write(frame)
    writer.release()
    return path


def report(row: dict[str, Any]) -> None:
    """Print a backend."""
    print(f"\n{row['backend']} on {row['device']}: bare engine {row['engine']:.3f} ms")
    columns = ("way", *STEPS, "total", "fps", "share_of_engine")
    print_rows([{key: way.get(key) for key in columns} for way in row["ways"]])


if __name__ == "__main__":
    main()
