"""The goals of the GPU part, beside what the benchmarks measured. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

BATCH, SIZE = 64, (270, 480)
COPY_SHARE = 0.8
TORCH_RATIO = 8.0
LAUNCHES = 3
ENGINE_SHARE = 0.2
FRAME = [720, 1280]
MODEL = "edgecount-s"
NOT_MEASURED = "not measured"
MAPS = f"{BATCH} maps of {SIZE[0]}x{SIZE[1]}"


@dataclass(frozen=True)
class Goal:
    """A goal and what was measured.

    Attributes:
        what: is measured.
        wanted: in words.
        measured: in words; `NOT_MEASURED` without a number.
        met: None without a number, or where the number is only for comparison.
    """

    what: str
    wanted: str
    measured: str = NOT_MEASURED
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """In a table."""
        return "" if self.met is None else "met" if self.met else "missed"


def goals(kernels: Mapping[str, Any] | None, pipeline: Mapping[str, Any] | None) -> list[Goal]:
    """All goals.

    Args:
        kernels: the JSON of benchmarks/gpu_kernels.py; None: it was not run.
        pipeline: the JSON of benchmarks/gpu_pipeline.py, likewise.
    """
    return [
        *bandwidth(kernels or {}),
        *beside_torch(kernels or {}),
        latency(kernels or {}),
        *frames(pipeline or {}),
    ]


def bandwidth(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Counting beside the device's own copy."""
    wanted = f"{COPY_SHARE:.0%} of the copy bandwidth or more"
    for listed, more in ((1, "counts alone"), (1024, "with the list of peaks on the host")):
        for dtype in ("float32", "float16"):
            what = f"{MAPS}, {dtype}, {more}"
            row = find(kernels.get("count", []), dtype=dtype, listed=listed, regions=0, fusion=True)
            if row is None:
                if (listed, dtype) == (1, "float32"):
                    yield Goal(what, wanted)
                continue
            share = row["share_of_copy"]
            said = f"{share:.0%}, {row['us']:.1f} µs"
            # What lay in the cache says nothing of the memory; the list goes over the host's bus.
            judged = listed == 1 and row["cold"]
            note = "" if row["cold"] else ", partly from the cache"
            yield Goal(what, wanted, said + note, share >= COPY_SHARE if judged else None)


def beside_torch(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Counting beside the usual way in torch."""
    wanted = f"{TORCH_RATIO:g} times as fast as torch or more"
    for dtype in ("float32", "float16"):
        what = f"{MAPS}, {dtype}, 8 regions"
        row = find(kernels.get("torch", []), dtype=dtype, regions=8)
        if row is not None:
            said = f"{row['ratio']:.1f} times; waited for and read {row['waited_ratio']:.1f} times"
            yield Goal(what, wanted, said, row["ratio"] >= TORCH_RATIO)
        elif dtype == "float32":
            yield Goal(what, wanted)


def latency(kernels: Mapping[str, Any]) -> Goal:
    """One image beside an empty kernel, both waited for."""
    what = f"one map of {SIZE[0]}x{SIZE[1]}, from the call until it is counted"
    wanted = f"as long as {LAUNCHES} empty kernels, each waited for, or less"
    launch = kernels.get("launch")
    if not launch or not launch["empty_waited_us"]:
        return Goal(what, wanted)
    one, empty = launch["one_map_waited_us"], launch["empty_waited_us"]
    said = f"{one:.1f} µs, {one / empty:.1f} times the {empty:.1f} µs of one"
    return Goal(what, wanted, said, one <= LAUNCHES * empty)


def frames(pipeline: Mapping[str, Any]) -> Iterator[Goal]:
    """What surrounds the engine."""
    what = f"pre + post of {MODEL} at {FRAME[1]}x{FRAME[0]}"
    wanted = f"{ENGINE_SHARE:.0%} of the engine's time or less"
    found = False
    for row in pipeline.get("backends", []):
        if not row["on_gpu"]:
            continue
        for way in row["ways"]:
            if "preprocess" not in way:
                continue
            share = way["share_of_engine"]
            around = way["preprocess"] + way["postprocess"]
            said = f"{share:.0%}: {around:.3f} ms beside {row['engine']:.3f} ms"
            # A stand-in is slower than an engine, so that its share flatters.
            real = "stand-in" not in row["backend"]
            judged = real and pipeline["size"] == FRAME and pipeline["model"] == MODEL
            found = found or judged
            where = f"{what}, {row['backend']}, {way['way']}"
            yield Goal(where, wanted, said, share <= ENGINE_SHARE if judged else None)
    if not found:
        yield Goal(what, wanted)


def find(rows: list[Mapping[str, Any]], **wanted: Any) -> Mapping[str, Any] | None:
    """The row of the goals' maps with these values."""
    wanted |= {"batch": BATCH, "height": SIZE[0], "width": SIZE[1]}
    matching = (row for row in rows if all(row.get(key) == v for key, v in wanted.items()))
    return next(matching, None)
