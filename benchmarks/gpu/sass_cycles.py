"""Compute from machine code how long the blend of the grid cells takes, the tail of count_images.

Nothing is measured. The kernels are compiled, and the instructions of each step, which nvdisasm
names by their source lines, are multiplied by how often the warps of a map come by:

- FP64: each instruction of a warp holds the FP64 pipe of its processor for 32 / rate clocks.
- Issue: each instruction takes one slot of one of the four schedulers.
- Latency: one warp alone, in order; an instruction waits for the registers that it reads.

The busiest processor needs at least the longest of the three, and at most their sum; the hand-over
to the last block (fences and an atomic) and that block's sum are added to both. Launches, the
lists of points in other blocks and the caches' rates are left out; each load hits the L2 cache.

Run: python benchmarks/gpu/sass_cycles.py --nvdisasm /path/to/nvdisasm
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLAGS = ("-std=c++17", "--fmad=false", "-lineinfo", "-cubin")
WARPS, GROUPS, AHEAD = 8, 8, 4  # kWarps, kLaneGroups, kCellsAhead
_FP64 = re.compile(r"DADD|DMUL|DFMA|DSETP|I2F\.F64|F2F\.F64|D2F")
_FUNCTION = re.compile(r"^(?:__device__|__global__|EDGECOUNT_BOTH) .*?(\w+)\(", re.M)
_LAST = ("add_lanes", "finish_image")  # functions of the last block
_LINE = re.compile(r'"([^"]+)", line (\d+)')
_CODE = re.compile(r"/\*([0-9a-f]{4,})\*/\s+(?:@!?U?P\w+ )?\s*(\S.*?) ?;")


@dataclass(frozen=True)
class Gpu:
    """A GPU as the model has it: clocks are of one processor.

    Rates are those of CUDA's programming guide ("Throughput of native arithmetic instructions").
    Latencies are round figures of published micro-benchmarks of these generations.
    """

    name: str
    arch: str
    processors: int
    gigahertz: tuple[float, ...]
    fp64_rate: int  # threads a clock
    fp64_clocks: int  # until a result can be read
    load_clocks: int  # from the L2 cache
    hand_over_clocks: int  # two fences and an atomic whose result is used


GPUS = (
    Gpu("Orin Nano", "87", 8, (1.02, 0.625), 2, 48, 300, 1800),
    Gpu("H200", "90", 132, (1.98,), 64, 16, 270, 1500),
)


@dataclass(frozen=True)
class Case:
    """Maps whose grid cells are squares of 8 x 8 cells, and how their sums become people."""

    height: int
    width: int
    regions: int
    batch: int = 1
    unit: str = "1"  # or "power" of two, or "any"

    @property
    def cells(self) -> int:
        """Grid cells of a map."""
        return -(-self.height // 8) * -(-self.width // 8)

    def blocks(self, gpu: Gpu) -> int:
        """Return the blocks that tally a map, as plan_tallies has them."""
        blocks = 1
        while (
            blocks < GROUPS
            and blocks * 256 < self.cells * (1 + self.regions)
            and 2 * blocks * self.batch <= gpu.processors * 4
        ):
            blocks *= 2
        return blocks


@dataclass(frozen=True)
class Instruction:
    """An instruction with the functions that it was inlined from, innermost first."""

    text: str
    functions: tuple[str, ...]

    @property
    def fp64(self) -> bool:
        """Whether it takes the FP64 pipe."""
        return bool(_FP64.match(self.text))


def disassemble(gpu: Gpu, nvcc: str, nvdisasm: str, cuda: Path) -> list[Instruction]:
    """Compile the kernels of a folder and return the instructions of count_images."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernels.cubin"
        includes = [f"-I{cuda.parent / name}" for name in ("include", "src")]
        source = cuda / "count_maps.cu"
        command = [nvcc, *FLAGS, f"-arch=sm_{gpu.arch}", *includes, source, "-o", cubin]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
        listing = subprocess.run(
            [nvdisasm, "-gi", "-c", str(cubin)], check=True, capture_output=True, text=True
        ).stdout
    section = re.split(r"^\.text\..*count_images.*:$", listing, flags=re.M)[1]
    return list(_instructions(section.split("\n.section")[0], cuda.parent))


def _instructions(listing: str, sources: Path) -> Iterator[Instruction]:
    # What follows the last EXIT is for warps whose lanes have parted, and for rare numbers.
    lines = listing.splitlines()
    last = max(i for i, line in enumerate(lines) if re.search(r" EXIT ;", line))
    functions = {
        path.name: [
            (path.read_text()[: found.start()].count("\n") + 1, found[1])
            for found in _FUNCTION.finditer(path.read_text())
        ]
        for path in [*sources.glob("cuda/*.cu*"), *sources.glob("src/*.h")]
    }
    chain: list[str] = []
    fresh = True
    for line in lines[: last + 1]:
        where = _LINE.search(line) if "## File" in line else None
        code = _CODE.search(line)
        if where is not None:
            chain = [] if fresh else chain
            fresh = False
            starts = functions.get(Path(where[1]).name, [])
            name = max(((at, n) for at, n in starts if at <= int(where[2])), default=(0, ""))[1]
            chain = [*chain, name]
        elif code is not None:
            fresh = True
            yield Instruction(code[2], tuple(chain))


def _runs(instruction: Instruction, case: Case, blocks: int) -> tuple[float, float]:
    """Return how often all warps of a map, and the busiest one, come by an instruction."""
    chain = instruction.functions
    rows, tallied = -(-case.cells // 256), 1 + case.regions
    turns = -(-tallied // blocks)
    # The first of these functions that an instruction comes from decides.
    steps: dict[str, tuple[float, float]] = {
        **dict.fromkeys(("list_points", "join_parts", "count_peaks", *_LAST), (0, 0)),
        "fill_cell": (GROUPS, 1 / rows),  # at the lower border alone: one row of lanes
        "weigh_cells": (GROUPS * rows, -(-rows // blocks)),
        "divide_sums": (GROUPS * tallied * rows, turns * rows),
        # A chunk is AHEAD rows; the last one leaves its loop early.
        "tally_lane": (GROUPS * tallied * rows / AHEAD, turns * rows / AHEAD),
        "fold_group": (GROUPS * tallied, turns),
        "cells_of_region": (GROUPS * tallied, turns),
    }
    skipped = "divide_sums" if case.unit != "any" else ""
    by_factor = "to_people" in chain and chain[0] == "product"
    if skipped in chain or (by_factor and case.unit != "power"):
        return 0, 0
    return next((runs for name, runs in steps.items() if name in chain), (WARPS * blocks, 1))


def _registers(text: str, wide: bool) -> list[str]:
    found = re.findall(r"\b(U?R\d+|U?P\d)\b", text)
    return found + [f"R{int(r[1:]) + 1}" for r in found if wide and r[0] == "R"]


def latency(gpu: Gpu, instructions: list[Instruction]) -> float:
    """Return the clocks of one warp for some instructions, in order."""
    ready: dict[str, float] = {}
    clock = 0.0
    for instruction in instructions:
        operation, _, operands = instruction.text.partition(" ")
        wide = instruction.fp64 or ".64" in operation or "WIDE" in operation
        target, _, sources = operands.partition(",")
        stores = operation.startswith(("ST", "BRA", "BAR", "RED"))
        reads = _registers(operands if stores else sources, wide)
        clock = max([clock + 1, *(ready.get(register, 0.0) for register in reads)])
        if operation.startswith("LD") and not operation.startswith("LDC"):
            wait = gpu.load_clocks if operation.startswith(("LDG", "LD.")) else 30
        else:
            slow = operation.startswith(("SHFL", "MUFU", "I2F", "F2I", "LDC", "S2R", "BAR"))
            wait = gpu.fp64_clocks if instruction.fp64 else 25 if slow else 5
        for register in [] if stores else _registers(target, wide):
            ready[register] = clock + wait
    return max([clock, *ready.values()])


def tail(gpu: Gpu, instructions: list[Instruction], case: Case) -> dict[str, float]:
    """Return the clocks of the busiest processor for a case, by what limits them."""
    blocks = case.blocks(gpu)
    share = -(-case.batch * blocks // gpu.processors) / blocks  # of a map, on one processor
    runs = [_runs(instruction, case, blocks) for instruction in instructions]
    counted = list(zip(instructions, runs, strict=True))
    busy = {
        "fp64": share * sum(32 / gpu.fp64_rate * n for i, (n, _) in counted if i.fp64),
        "issue": share * sum(n / 4 for _, (n, _) in counted),
    }
    steps: dict[float, list[Instruction]] = {}
    for instruction, (_, longest) in counted:
        steps.setdefault(longest, []).append(instruction)
    busy["latency"] = sum(times * latency(gpu, step) for times, step in steps.items() if times)
    last = [i for i in instructions if set(_LAST) & set(i.functions)]
    sums = -(-3 * (1 + case.regions) // 4)  # warps that add up lanes
    end = gpu.hand_over_clocks + latency(gpu, last)
    end += sum(32 / gpu.fp64_rate for i in last if i.fp64) * sums
    return {**busy, "end": end}


def main() -> None:
    """Print a table of all cases."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nvcc", default="nvcc", metavar="PATH", help="the compiler")
    parser.add_argument("--nvdisasm", default="nvdisasm", metavar="PATH", help="the disassembler")
    sources = ROOT / "cpp_ext" / "cuda"
    parser.add_argument(
        "--cuda", type=Path, default=sources, metavar="DIR", help="the kernels' sources"
    )
    arguments = parser.parse_args()
    for tool in (arguments.nvcc, arguments.nvdisasm):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not there: it belongs to the CUDA toolkit")
    print("| GPU | maps | regions | unit | FP64 | issue | latency | end | clocks | µs |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for gpu in GPUS:
        instructions = disassemble(gpu, arguments.nvcc, arguments.nvdisasm, arguments.cuda)
        batch = 1 if gpu.processors < 100 else 64
        sizes = ((270, 480), (92, 160), (60, 80))
        for (height, width), regions in ((s, r) for s in sizes for r in (0, 8)):
            for unit in ("1", "power", "any"):
                case = Case(height, width, regions, batch, unit)
                clocks = tail(gpu, instructions, case)
                end = clocks.pop("end")
                low, high = max(clocks.values()) + end, sum(clocks.values()) + end
                times = ", ".join(
                    f"{low / ghz / 1e3:.1f} to {high / ghz / 1e3:.1f} at {ghz} GHz"
                    for ghz in gpu.gigahertz
                )
                parts = " | ".join(f"{value:.0f}" for value in [*clocks.values(), end])
                maps = f"{batch} of {height}x{width}"
                row = [gpu.name, maps, str(regions), unit, parts, f"{low:.0f} to {high:.0f}"]
                print("| " + " | ".join([*row, times]) + " |")


if __name__ == "__main__":
    main()
