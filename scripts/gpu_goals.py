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
        *latency(kernels or {}),
        *frames(pipeline or {}),
    ]


def bandwidth(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Counting beside the device's own copy.

    Time is that of the kernels, which write what comes back to the host, in a CUDA graph, over maps
    that come from memory. The goal is about the counts; a list of peaks or a density goes over the
    bus to the host, which is no matter of the kernels, and is shown for comparison.
    """
    wanted = f"{COPY_SHARE:.0%} of the copy bandwidth or more"
    plain = {"listed": 1, "regions": 0, "offset": False, "keep_density": False}
    counter = {**plain, "listed": 1024, "keep_density": True}
    for more, keys in (
        ("counts alone", plain),
        ("with the list of peaks", {**plain, "listed": 1024}),
        ("as EdgeCounter has it, with list and density", counter),
        ("as EdgeCounter has it, and an offset", {**counter, "offset": True}),
        (
            "as EdgeCounter has it, an offset and 8 regions",
            {**counter, "offset": True, "regions": 8},
        ),
    ):
        for dtype in ("float32", "float16"):
            what = f"{MAPS}, {dtype}, {more}"
            row = find(kernels.get("count", []), dtype=dtype, fusion=True, **keys)
            if row is None:
                if keys is plain and dtype == "float32":
                    yield Goal(what, wanted)
                continue
            # What lay in the cache says nothing of the memory.
            judged = keys is plain and row["cold"]
            yield Goal(what, wanted, copied(row), met(row["share_of_copy"], judged))


def copied(row: Mapping[str, Any]) -> str:
    """A row's time beside those of copies."""
    said = f"{row['share_of_copy']:.0%}, {row['us']:.1f} µs"
    if row["listed"] > 1 or row["keep_density"]:
        back = f"{row['back_bytes'] / 1e6:.1f} MB to the host"
        said += f"; {row['share_of_copies']:.0%} of that and of the copy of {back}"
    return said if row["cold"] else f"{said}, partly from the cache"


def met(share: float, judged: bool) -> bool | None:
    """Whether a share of the copy bandwidth is enough."""
    return share >= COPY_SHARE if judged else None


def beside_torch(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Counting beside the usual way in torch: both called alike, both until all is on the host."""
    wanted = f"{TORCH_RATIO:g} times as fast as torch or more"
    for dtype in ("float32", "float16"):
        maps = f"{MAPS}, {dtype}, 8 regions"
        what = f"{maps}, from the call until all is on the host, both eager"
        row = find(kernels.get("torch", []), dtype=dtype, regions=8)
        if row is not None:
            said = beside(row["ratio"], row["read_us"], row["torch_read_us"])
            yield Goal(what, wanted, said, row["ratio"] >= TORCH_RATIO)
            if row["graph_ratio"] is not None:
                said = beside(row["graph_ratio"], row["graph_us"], row["torch_graph_us"])
                yield Goal(f"{maps}, both as CUDA graphs", "for comparison", said)
            ratio = row["torch_eager_us"] / row["eager_us"]
            said = beside(ratio, row["eager_us"], row["torch_eager_us"])
            yield Goal(f"{maps}, both eager, by the GPU's clock", "for comparison", said)
        elif dtype == "float32":
            yield Goal(what, wanted)


def beside(ratio: float, ours: float, theirs: float) -> str:
    """Two times in words."""
    return f"{ratio:.1f} times: {ours:.1f} µs beside torch's {theirs:.1f} µs"


def latency(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """One image beside as many empty kernels, which are launched and waited for in the same way."""
    wanted = f"as long as {LAUNCHES} empty kernels in a row, waited for once, or less"
    for way, infix in (("eager", ""), ("as a CUDA graph", "graph_")):
        what = f"one map of {SIZE[0]}x{SIZE[1]}, from the call until it is counted, {way}"
        launch = kernels.get("launch") or {}
        empty = launch.get(f"three_empty_{infix}waited_us")
        if not empty:
            yield Goal(what, wanted)
            continue
        one = launch[f"one_map_{infix}waited_us"]
        said = f"{one:.1f} µs beside {empty:.1f} µs"
        if not infix:
            each = LAUNCHES * launch["empty_waited_us"]
            said += f", or {each:.1f} µs if each is waited for"
        yield Goal(what, wanted, said, one <= empty)


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
