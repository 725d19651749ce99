"""Compare engines and precisions on the CPU by turns: times, frames per second, counts.

An export (`edgecount export MODEL --int8 --calibration DIR --target openvino`) gives the files.
Each runs with ONNX Runtime and with OpenVINO, in every precision that this CPU computes in, one
call of each after the other in one process, so that what else the machine does falls on all alike:
trust the ratios. Times are medians in milliseconds:

- engine: the bare call of the engine, on a tensor that is ready
- count: `EdgeCounter.count` on a picture, end to end
- frames/s: `EdgeCounter.count_batch` on many pictures, with as many at once as suit the engine
- speed: those times beside the first row's, of one picture and of many
- counts: mean absolute difference from ONNX Runtime in float32, as a share of the mean count, on
  rendered scenes or on the pictures of --images

With --baseline PATH the first row is another checkout of edgecount, with ONNX Runtime in float32:
its Python (PATH/.venv/bin/python, or --baseline-python) runs the same file in its own process.

    python benchmarks/engines.py EXPORT [--size 480x640 --size 768x1024] [--threads 1 --threads 2]
                                 [--rounds 30] [--images DIR] [--baseline PATH] [--out FILE.md]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnxruntime
from baseline import Baseline
from numpy.typing import NDArray

from edgecount import EdgeCounter
from edgecount.errors import EdgeCountError
from edgecount.runtime.backends.openvino.library import version
from edgecount.runtime.backends.openvino.precision import computes_in
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.pipeline.preprocess import input_geometry, write_input
from edgecount.scenes import render_scene

FLOAT32, INT8 = "model.onnx", "model.int8-cpu.onnx"
PAUSE = 0.03  # s: threads of an engine spin for a while after its run, in the way of the next
PEOPLE = (10, 40, 90, 160)  # in rendered scenes of 640x480; in larger ones by their area
_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
_ARM_FLAGS = ("asimddp", "i8mm", "bf16", "asimdhp")

Frame = NDArray[np.uint8]


class Timed(NamedTuple):
    """An engine of a table, and what it took in each round; frames per second, not ms, of many."""

    name: str
    counter: EdgeCounter | Baseline
    engine: list[float]
    count: list[float]
    many: list[float]


def main() -> None:
    """Measure every size and number of threads, and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("export", type=Path, help="folder that edgecount export wrote")
    parser.add_argument("--size", action="append", help="HEIGHTxWIDTH; repeat for several")
    parser.add_argument("--threads", action="append", type=int)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--warmup", type=int, default=20, help="frames of each before the rounds")
    parser.add_argument("--batch", type=int, default=16, help="pictures of one call of count_batch")
    parser.add_argument("--images", type=Path, help="pictures to compare counts on")
    parser.add_argument("--most", type=int, default=12, help="of them")
    parser.add_argument("--baseline", type=Path, help="another checkout of edgecount")
    parser.add_argument("--baseline-python", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = [*heading(options)]
    for size in options.size or ("480x640", "768x1024"):
        height, width = (int(side) for side in size.split("x"))
        for threads in options.threads or (1, 2):
            lines += ["", *table(options, (height, width), threads)]
            print("\n".join(lines[-12:]), flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n")


def heading(options: argparse.Namespace) -> Iterator[str]:
    """Yield what was measured, and where."""
    yield f"Measured on {date.today().isoformat()} on {cpu()}, by turns in one process."  # noqa: DTZ011
    yield (
        f"ONNX Runtime {onnxruntime.__version__}, OpenVINO {version()}; {options.rounds} rounds. "
        "A machine without an instruction does not show what it brings."
    )


def cpu() -> str:
    """Return the CPU's name and the instructions that decide about speed, as Linux names them."""
    text = Path("/proc/cpuinfo").read_text(errors="replace")
    fields = dict(
        (part.strip() for part in line.split(":", 1)) for line in text.splitlines() if ":" in line
    )
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    known = _FLAGS if "flags" in fields else _ARM_FLAGS
    there = ", ".join(name for name in known if name in flags) or "none"
    lacks = ", ".join(name for name in known if name not in flags) or "nothing"
    number = text.count("processor\t")
    name = fields.get("model name", "a CPU")
    return f"{number} hardware threads of {name} (has {there}; lacks {lacks})"


def table(options: argparse.Namespace, size: tuple[int, int], threads: int) -> list[str]:
    """Return the table of one size of pictures and one number of threads."""
    frames = list(pictures(options, size))
    frame = frames[len(frames) // 2]
    with ExitStack() as stack:
        rows = [*opened(options, threads, stack)]
        for _ in range(options.warmup):
            for row in rows:
                row.counter.count(frame)
        calls = [engine_call(row.counter, frame) for row in rows]
        for number in range(options.rounds):
            for row, call in zip(rows, calls, strict=True):
                # What comes first finds the caches cold.
                for what in ("engine", "count")[:: 1 if number % 2 else -1]:
                    time.sleep(PAUSE)
                    if what == "count":
                        row.count.append(milliseconds(row.counter, frame))
                    elif call is not None:
                        row.engine.append(timed(call))
                if number % 6 == 0:
                    time.sleep(PAUSE)
                    row.many.append(per_second(row.counter, frame, options.batch))
        counts = [[float(row.counter.count(one).count) for one in frames] for row in rows]
    exact = counts[next(i for i, row in enumerate(rows) if row.name == "ONNX Runtime float32")]
    height, width = size
    people = f"{np.mean(exact):.0f} people on average in {len(frames)} pictures"
    return [
        f"## {height}x{width}, {threads} thread{'s' * (threads > 1)}; {people}",
        "",
        "| | engine | count | count / engine | frames/s | speed of one | of many | counts |",
        "|---|---|---|---|---|---|---|---|",
        *(line(row, rows[0], found, exact) for row, found in zip(rows, counts, strict=True)),
    ]


def line(row: Timed, first: Timed, counts: Sequence[float], exact: Sequence[float]) -> str:
    """Return a row of the table."""
    count, many = statistics.median(row.count), statistics.median(row.many)
    engine = statistics.median(row.engine) if row.engine else None
    apart = np.abs(np.subtract(counts, exact)).mean() / max(float(np.mean(exact)), 1.0)
    cells = [
        row.name,
        f"{engine:.1f}" if engine else "-",
        f"{count:.1f}",
        f"{count / engine:.2f}" if engine else "-",
        f"{many:.1f}",
        f"{statistics.median(first.count) / count:.2f} x",
        f"{many / statistics.median(first.many):.2f} x",
        f"{apart:.2%}",
    ]
    return f"| {' | '.join(cells)} |"


def opened(options: argparse.Namespace, threads: int, stack: ExitStack) -> Iterator[Timed]:
    """Yield every engine and precision that works here, the baseline first."""
    if options.baseline:
        python = options.baseline_python or options.baseline / ".venv/bin/python"
        there = Baseline(options.baseline, python, options.export / FLOAT32, threads)
        name = f"{commit(options.baseline)}, ONNX Runtime float32"
        yield Timed(name, stack.enter_context(there), [], [], [])
    kinds: list[tuple[str, str, str]] = [
        *((FLOAT32, "onnxruntime", "float32"), (INT8, "onnxruntime", "auto")),
        *((FLOAT32, "openvino", "float32"), (INT8, "openvino", "float32")),
    ]
    for faster in computes_in("CPU")[1:]:
        kinds += [(FLOAT32, "openvino", faster), (INT8, "openvino", faster)]
    named = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    for file, backend, precision in kinds:
        path = options.export / file
        if not path.is_file():
            continue
        try:
            counter = EdgeCounter(path, backend=backend, precision=precision, threads=threads)
        except EdgeCountError as error:
            print(f"{file} with {backend} in {precision}: {error}")
            continue
        stack.enter_context(counter)
        name = f"{named[backend]} {counter.backend.precision}"
        yield Timed(name, counter, [], [], [])


def commit(path: Path) -> str:
    """Return the commit of a checkout; its folder's name where Git knows none."""
    words = ("git", "-C", str(path), "rev-parse", "--short", "HEAD")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else path.name


def pictures(options: argparse.Namespace, size: tuple[int, int]) -> Iterator[Frame]:
    """Yield pictures of a (height, width) in pixels: rendered scenes, or those that were given."""
    height, width = size
    if options.images is None:
        for seed, people in enumerate(PEOPLE):
            number = people * height * width // (480 * 640)
            yield render_scene(number, size=(width, height), seed=seed).image
        return
    found = sorted(p for p in options.images.rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    for path in found[:: max(len(found) // options.most, 1)][: options.most]:
        pixels = read_image(path)
        yield cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[misc]


def engine_call(counter: EdgeCounter | Baseline, frame: Frame) -> Any:
    """Return the bare call of an engine on a tensor that is ready; None: of another process."""
    if isinstance(counter, Baseline):
        return None
    spec, backend = counter.manifest.input, counter.backend
    plan = input_geometry(frame.shape[1::-1], spec, counter.max_side)
    tensor = np.empty((1, 3, *plan.padded), np.float32)
    write_input(frame, plan.resized, spec, tensor)
    return lambda: backend.infer({spec.name: tensor})


def milliseconds(counter: EdgeCounter | Baseline, frame: Frame) -> float:
    """Return what counting in a picture took."""
    if isinstance(counter, Baseline):
        return counter.milliseconds(frame)
    return timed(lambda: counter.count(frame))


def per_second(counter: EdgeCounter | Baseline, frame: Frame, number: int) -> float:
    """Return how many pictures a second are counted in one call of count_batch."""
    if isinstance(counter, Baseline):
        return counter.per_second(frame, number)
    return 1000 * number / timed(lambda: counter.count_batch([frame] * number))


def timed(call: Any) -> float:
    """Return the milliseconds of one call."""
    start = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    main()
