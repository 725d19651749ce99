"""The goals of the GPU part, beside the numbers of the benchmarks. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BATCH, SIZE = 64, (270, 480)
COPY_SHARE = 0.8
TORCH_RATIO = 8.0
ENGINE_SHARE = 0.2
FRAME = [720, 1280]
MODEL = "edgecount-s"
NOT_MEASURED = "not measured"
MAPS = f"{BATCH} maps of {SIZE[0]}x{SIZE[1]}"
DTYPES = ("float32", "float16")
# Results that are asked for, by their keys in the rows of counting: what differs from the one
# before. The counts alone are judged.
COUNTED = {
    "counts alone": {"listed": 1, "keep_density": False, "offset": False, "regions": 0},
    "counts alone, 8 regions": {"regions": 8},
    "with the list of peaks": {"listed": 1024, "regions": 0},
    "as EdgeCounter has it, with list and density": {"keep_density": True},
    "as EdgeCounter has it, and an offset": {"offset": True},
    "as EdgeCounter has it, an offset and 8 regions": {"regions": 8},
}


@dataclass(frozen=True)
class Goal:
    """The work that is measured, and in words the goal and the number that was measured."""

    what: str
    wanted: str
    measured: str = NOT_MEASURED
    met: bool | None = None  # None without a number, or where it is only for comparison

    @property
    def verdict(self) -> str:
        """The last column of the table: "met", "missed" or nothing."""
        return "" if self.met is None else "met" if self.met else "missed"


def goals(kernels: Mapping[str, Any] | None, pipeline: Mapping[str, Any] | None) -> list[Goal]:
    """Return all goals, from the JSON of each of benchmarks/gpu; None: it was not run."""
    found = kernels or {}
    counted = *bandwidth(found), *each_kernel(found), *beside_torch(found), *latency(found)
    return [*counted, *frames(pipeline or {})]


def bandwidth(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Compare counting with the device's own copy.

    Times are those of the kernels, which write what comes back to the host, in a CUDA graph, over
    maps that come from memory. The goal is about the counts; a list of peaks or a density goes over
    the bus to the host, which is no matter of the kernels, and is shown for comparison.
    """
    wanted = f"{COPY_SHARE:.0%} of the copy bandwidth or more"
    keys: dict[str, Any] = {"fusion": True}
    for more, changes in COUNTED.items():
        keys |= changes
        alone = keys["listed"] == 1
        for dtype in DTYPES:
            what, row = f"{MAPS}, {dtype}, {more}", find(kernels, "count", dtype=dtype, **keys)
            if row is not None:
                shown = f"{row['share_of_copy']:.0%}, {row['us']:.1f} µs"
                if not alone:
                    back = f"{row['back_bytes'] / 1e6:.1f} MB to the host"
                    shown += f"; {row['share_of_copies']:.0%} of that and of the copy of {back}"
                # Maps that lie in the cache say nothing of the memory.
                shown += "" if row["cold"] else ", partly from the cache"
                judged = alone and row["cold"]
                met = row["share_of_copy"] >= COPY_SHARE if judged else None
                yield Goal(what, wanted, shown, met)
            elif alone and dtype == "float32":
                yield Goal(what, wanted)


def each_kernel(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Show how long the kernel after the maps were read runs, on a batch and on a single map."""
    rows = [row for row in kernels.get("alone", []) if row["dtype"] == "float32"]
    for row in rows:
        number = "1 map" if row["batch"] == 1 else f"{row['batch']} maps"
        maps = f"{number} of {row['height']}x{row['width']}"
        others = {name: us for name, us in row.items() if name.endswith("_us")}
        tail = others.pop("count_images_us")
        beside = ", ".join(
            f"{us:.1f} µs of {key.removesuffix('_us')}" for key, us in others.items()
        )
        what = f"count_images alone, {maps}, float32, {row['regions']} regions"
        yield Goal(what, "for comparison", f"{tail:.1f} µs beside {beside}")


def beside_torch(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Compare counting with torch: both called alike, both until all is on the host."""
    wanted = f"{TORCH_RATIO:g} times as fast as torch or more"
    for dtype in DTYPES:
        maps, row = f"{MAPS}, {dtype}, 8 regions", find(kernels, "torch", dtype=dtype, regions=8)
        for manner, more in {
            "read": "from the call until all is on the host, both eager",
            "graph": "both as CUDA graphs",
            "eager": "both eager, by the GPU's clock",
        }.items():
            what, judged = f"{maps}, {more}", manner == "read"
            if row is not None and row[f"torch_{manner}_us"] is not None:
                ours, theirs = row[f"{manner}_us"], row[f"torch_{manner}_us"]
                shown = f"{theirs / ours:.1f} times: {ours:.1f} µs beside torch's {theirs:.1f} µs"
                met = theirs / ours >= TORCH_RATIO if judged else None
                yield Goal(what, wanted if judged else "for comparison", shown, met)
            elif row is None and judged and dtype == "float32":
                yield Goal(what, wanted)


def latency(kernels: Mapping[str, Any]) -> Iterator[Goal]:
    """Compare one image with three empty kernels, which are launched and waited for alike."""
    wanted = "as long as 3 empty kernels in a row, waited for once, or less"
    launch = kernels.get("launch") or {}
    for manner, infix in (("eager", ""), ("as a CUDA graph", "graph_")):
        what = f"one map of {SIZE[0]}x{SIZE[1]}, from the call until it is counted, {manner}"
        empty = launch.get(f"three_empty_{infix}waited_us")
        if not empty:
            yield Goal(what, wanted)
            continue
        one = launch[f"one_map_{infix}waited_us"]
        shown = f"{one:.1f} µs beside {empty:.1f} µs"
        if not infix:
            shown += f", or {3 * launch['empty_waited_us']:.1f} µs if each is waited for"
        yield Goal(what, wanted, shown, one <= empty)


def frames(pipeline: Mapping[str, Any]) -> Iterator[Goal]:
    """Compare preprocessing and postprocessing of a frame with the engine."""
    what = f"pre + post of {MODEL} at {FRAME[1]}x{FRAME[0]}"
    wanted = f"{ENGINE_SHARE:.0%} of the engine's time or less"
    found = False
    for row in pipeline.get("frames", []):
        if not row["on_gpu"] or row.get("preprocess") is None:
            continue
        share, around = row["share_of_engine"], row["preprocess"] + row["postprocess"]
        shown = f"{share:.0%}: {around:.3f} ms beside {row['engine']:.3f} ms"
        # A stand-in is slower than an engine, so that its share flatters.
        real = "stand-in" not in row["backend"]
        judged = real and pipeline["size"] == FRAME and pipeline["model"] == MODEL
        found = found or judged
        where = f"{what}, {row['backend']}, {row['source']}"
        yield Goal(where, wanted, shown, share <= ENGINE_SHARE if judged else None)
    if not found:
        yield Goal(what, wanted)


def find(kernels: Mapping[str, Any], key: str, **wanted: Any) -> Mapping[str, Any] | None:
    """Return the row of the goals' maps with these values; None without one."""
    rows: Sequence[Mapping[str, Any]] = kernels.get(key, [])
    wanted |= {"batch": BATCH, "height": SIZE[0], "width": SIZE[1]}
    return next((row for row in rows if wanted.items() <= row.items()), None)
