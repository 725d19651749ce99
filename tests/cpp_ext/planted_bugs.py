"""Bugs for the counting kernels, to prove that their test finds such.

Each is a change of the text of one source. `plant` makes a copy of the sources with all of them,
each behind a switch that the environment variable PLANTED turns on: one build has them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

# nvcc sees a variable of the device, which a program that runs its PTX sets (ptx/device_memory.h).
SWITCH = """#pragma once
#if defined(__CUDACC__)
extern "C" __device__ int PLANTED = 0;
__host__ __device__ inline bool planted([[maybe_unused]] int number) {
#if defined(__CUDA_ARCH__)
    return PLANTED == number;
#else
    return false;
#endif
}
#else
#include <cstdlib>
inline bool planted(int number) {
    static const char* const chosen = std::getenv("PLANTED");
    return chosen != nullptr && std::atoi(chosen) == number;
}
#endif
"""


@dataclass(frozen=True)
class Bug:
    """One bug.

    Attributes:
        name: what is wrong.
        source: file in cpp_ext/cuda.
        good: text that is there once: statements or an expression.
        bad: what stands for it.
        race: only ThreadSanitizer can see it: blocks that run one after the other get it right.
        inside: only AddressSanitizer can see it: it goes beyond an array, but not beyond the
            shared memory of its block, which PTX has in one piece.
    """

    name: str
    source: str
    good: str
    bad: str = ";"
    race: bool = False
    inside: bool = False

    def switched(self, number: int) -> str:
        """Return the good and the bad text with a switch between them."""
        if ";" in self.good:
            return f"if (planted({number})) {{ {self.bad}\n}} else {{ {self.good}\n}}"
        return f"(planted({number}) ? ({self.bad}) : ({self.good}))"


SCAN = "peak_scan.cuh"
PLACE = "peak_place.cuh"
PROMINENCE = "peak_prominence.cuh"
DENSITY = "density_sums.cuh"
PLAIN = "plain_sums.cuh"
LIST = "peak_list.cuh"
TALLIES = "tallies.cuh"
HOST = "count_maps.cu"

BUGS = [
    Bug("a plateau has no peak", SCAN, "own >= after", "own > after"),
    Bug("a plateau has many peaks", SCAN, "own > before", "own >= before"),
    Bug("a tie with a row below", SCAN, "pending[i][v] < newest[v]", "pending[i][v] <= newest[v]"),
    Bug("a row too late", SCAN, "done[v] = pending[0][v];", "done[v] = pending[radius - 1][v];"),
    Bug("a row that is forgotten as it moves up", SCAN, "alive[i] = alive[i + 1];"),
    Bug("a row above forgotten", SCAN, "maxima[i][v] = maxima[i + 1][v];"),
    Bug("a column beyond the map", SCAN, "inside && there", "inside"),
    Bug(
        "rows below the map",
        SCAN,
        "min(plan.height, end)",
        "end",
    ),
    Bug("peaks of the outer lanes", SCAN, "bits & kInnerLanes", "bits"),
    Bug("another lane's wrong cell", SCAN, "row[4 - radius + k]", "row[3 - radius + k]"),
    Bug("rows that are not aligned", "cells.cuh", "map.row_stride % 4 == 0", "true"),
    Bug("a NaN in the heatmap", SCAN, "poison != 0.0F", "poison > 0.0F"),
    Bug("rows beyond the strip", SCAN, "lane < 4 && row < height", "lane < 4", inside=True),
    Bug(
        "no end of a warp's list",
        PLACE,
        "rank >= begin && rank < end",
        "rank >= begin",
    ),
    Bug(
        "no barrier for a warp's list",
        PLACE,
        "list_row(bits, lane, before, first, end, memory.listed);\n        __syncwarp();",
        "list_row(bits, lane, before, first, end, memory.listed);",
    ),
    Bug("peaks that rounding made", SCAN, "drop_near_ties(plan, map, at, memory);"),
    Bug("near ties across corners", PROMINENCE, "dy != 0 || dx != 0", "dy == 0 && dx != 0"),
    Bug("columns of the other word", PROMINENCE, "row[1] >> 1 | row[0] >> 31", "row[1] >> 1"),
    Bug("the row over the lower half", PROMINENCE, "above[1] = last_upper;"),
    Bug(
        "a peak that is beaten from afar",
        PROMINENCE,
        "(now & better.words[half][word]) != 0",
        "false",
    ),
    Bug(
        "another lane's peak",
        PROMINENCE,
        "lane == static_cast<unsigned>(whose) && !out",
        "!out",
    ),
    Bug("no neighbour on the right", PLACE, "x > 0 && x + 1 < plan.heatmap.width", "x > 0"),
    Bug("a lane that skips a sum", PLACE, "i - lane < end", "i < end"),
    Bug(
        "a warp's sum added by all",
        PLACE,
        "shares != 0 && threadIdx.x % 32 == 0",
        "shares != 0",
    ),
    Bug("no barrier for sums", DENSITY, "__syncthreads_or(!finite) != 0", "!finite"),
    Bug("no barrier for columns", DENSITY, "__syncwarp();"),
    Bug("a row left out", DENSITY, "y < left", "y + 1 < left"),
    Bug("a column of the next", DENSITY, "y < rows && x < width", "y < rows && x <= width"),
    Bug(
        "sums that overflow", DENSITY, "rows == kGroupRows && isfinite(group)", "rows == kGroupRows"
    ),
    Bug("a mask with none", DENSITY, "here == MaskPart::all ? sum : 0.0", "sum"),
    Bug(
        "warps that leave before a barrier",
        DENSITY,
        "weight_group(mask, at, values);",
        "weight_group(mask, at, values); if (at.rows == 0) return;",
    ),
    Bug(
        "a shuffle that some lanes skip",
        DENSITY,
        "sum += __shfl_xor_sync(kAllLanes, sum, half);",
        "if (i < out.cells) sum += __shfl_xor_sync(kAllLanes, sum, half);",
    ),
    Bug("a NaN in the density", DENSITY, "bad = bad || !isfinite(sums[v]);"),
    Bug("rows below a square", PLAIN, "y < at.rows && at.columns != 0", "at.columns != 0"),
    Bug(
        "columns beside a square",
        PLAIN,
        "y < at.rows && v < at.columns",
        "y < at.rows && v <= at.columns",
    ),
    Bug("a square's other half", PLAIN, "threadIdx.x % 2 * 4", "0"),
    Bug(
        "squares that overflow",
        PLAIN,
        "sum = sum_huge_square(map, at);",
        "sum = 0.0;",
    ),
    Bug("a square's mask", PLAIN, "column / density.tile_cells", "0 / density.tile_cells"),
    Bug(
        "a band's mask",
        PLAIN,
        "at.band / density.block_bands * density.tiles + chunk",
        "at.band / density.block_bands * density.tiles",
    ),
    Bug("no barrier for a band", PLAIN, "__syncthreads_or(!finite) != 0", "!finite"),
    Bug("a row of a band left out", PLAIN, "i < left", "i + 1 < left"),
    Bug(
        "a NaN in a band",
        PLAIN,
        "if (threadIdx.x % 32 != 0) return;\n"
        "    if (!isfinite(sum)) atomicOr(&plan.list.bad[at.image], kBadDensity);",
        "if (threadIdx.x % 32 != 0) return;",
    ),
    Bug("a kept row left out", PLAIN, "if (y >= rows) break;", "if (y + 1 >= rows) break;"),
    Bug(
        "kept cells of the next row",
        PLAIN,
        "if (v < at.columns) to[v] = row.cells[v];",
        "to[v] = row.cells[v];",
    ),
    Bug(
        "kept rows that are not aligned",
        PLAIN,
        "plan.width % 4 == 0",
        "plan.width % 2 == 0",
    ),
    Bug(
        "left rows of a band not kept",
        PLAIN,
        "keep_rest(plan, map, at);",
        ";",
    ),
    Bug(
        "rows of a band kept twice",
        PLAIN,
        "groups[at.group][lane] = sums;",
        "groups[at.group][lane] = sums; keep_rest(plan, map, at);",
        race=True,
    ),
    Bug("a chunk that is kept too wide", PLAIN, "min(kChunk, plan.width - at.x)", "kChunk"),
    Bug(
        "a factor that is not exact",
        "make_plan.h",
        "std::frexp(unit, &exponent) == T{0.5}",
        "true",
    ),
    Bug("no end of the points", LIST, "i < count && rank + i < list.room", "i < count"),
    Bug("no end of a block's list", LIST, "at < kListed", "before + k >= first"),
    Bug("a NaN in the offset", LIST, "isfinite(point.x) && isfinite(point.y)", "true"),
    Bug("no barrier for a block's list", LIST, "__syncthreads();  // the list is whole"),
    Bug("no barrier for ranks", "cells.cuh", "__syncthreads();  // shares of all warps"),
    Bug("no barrier for weights", TALLIES, "__syncthreads();  // weights of the block's cells"),
    Bug("no barrier for joined parts", TALLIES, "__syncthreads();  // sums of the block's cells"),
    Bug("no barrier for people", TALLIES, "__syncthreads();  // people of the block's cells"),
    Bug("lanes of the next group", TALLIES, "place / 4 * 32", "place / 8 * 32"),
    Bug("a group's lanes folded too far", TALLIES, "distance >= 4", "distance >= 2"),
    Bug("another block's groups", TALLIES, "block << plan.group_bits", "block << 0"),
    Bug("another block's parts", TALLIES, "n % (1U << bits)", "n % (2U << bits)"),
    Bug(
        "a row of cells left out",
        TALLIES,
        "cell += group.turns * kThreads",
        "cell += 8 * kThreads",
    ),
    Bug("cells beyond the grid", TALLIES, "if (v * kThreads >= left) continue;"),
    Bug("an inner cell at the border", TALLIES, "height * width != region.cell_size", "false"),
    Bug("a factor for every unit", TALLIES, "plan.to_people == ToPeople::factor", "true"),
    Bug("peaks of many cells for one", TALLIES, "region.cells == 1 && block == 0", "block == 0"),
    Bug("sums beyond the last", TALLIES, "i >= fields || thread != 0", "thread != 0"),
    Bug("lanes in another order", TALLIES, "lanes[0] + lanes[16]", "lanes[8] + lanes[16]"),
    Bug(
        "tickets not set back",
        TALLIES,
        "atomicInc(&plan.tickets[image], plan.blocks - 1)",
        "atomicAdd(&plan.tickets[image], 1U)",
    ),
    Bug("peaks not set back", TALLIES, "clear_peaks(at, read);"),
    Bug("the first block for the last", TALLIES, "ticket[0] == plan.blocks - 1", "ticket[0] == 0"),
    Bug(
        "tickets never cleared",
        HOST,
        "memory.allocate(plan.list.tickets, batch, &stream);",
        "memory.allocate(plan.list.tickets, batch);",
    ),
    Bug(
        "enqueue waits",
        HOST,
        "if (state.plan.batch == 0) return;",
        "if (state.plan.batch == 0) return; stream.synchronize();",
    ),
    Bug("no fence before the ticket", TALLIES, "__threadfence();  // all writes before"),
    Bug("no fence after the ticket", TALLIES, "__threadfence();  // all reads after", race=True),
    Bug("no barrier for bits", SCAN, "__syncwarp();", race=True),
    Bug("points listed over", LIST, "__syncthreads();  // the list is still read", race=True),
    Bug("peaks listed over", PLACE, "__syncwarp();  // the list is still read", race=True),
    Bug("ranks written over", LIST, "__syncthreads();  // sums are still read", race=True),
]


def plant(sources: Path, to: Path, bugs: list[Bug]) -> None:
    """Copy a folder of sources, with all of some bugs.

    Raises:
        ValueError: a bug's text is not there, or more than once.
    """
    shutil.copytree(sources, to)
    (to / "planted.h").write_text(SWITCH)
    for number, bug in enumerate(bugs, start=1):
        path = to / bug.source
        text = path.read_text()
        if text.count(bug.good) != 1:
            raise ValueError(
                f"{bug.name}: expected its text in {bug.source} once, got {text.count(bug.good)}"
            )
        path.write_text(text.replace(bug.good, bug.switched(number)))
    for path in to.glob("*.cu*"):
        path.write_text('#include "planted.h"\n' + path.read_text())


def survivors(program: Path, bugs: list[Bug], rounds: int, race: bool) -> list[str]:
    """Return the names of bugs, of those that are races or that are not, that a program misses."""
    # The test's own Python may be preloaded with something that the sanitizers dislike.
    inherited = {key: value for key, value in os.environ.items() if key != "LD_PRELOAD"}

    def survives(number: int) -> bool:
        done = subprocess.run(
            [program, str(rounds)],
            capture_output=True,
            check=False,
            env=inherited | {"PLANTED": str(number)},
        )
        return done.returncode == 0

    chosen = [number for number, bug in enumerate(bugs, start=1) if bug.race == race]
    with ThreadPoolExecutor(2) as pool:
        alive = list(pool.map(survives, chosen))
    return [bugs[bug - 1].name for bug, lives in zip(chosen, alive, strict=True) if lives]
