"""Bugs for the kernels that count boxes, as planted_bugs.py has them for maps."""

from __future__ import annotations

from planted_bugs import Bug

CANDIDATES = "box_candidates.cuh"
SUPPRESSION = "box_suppression.cuh"
HOST = "count_boxes.cu"

BOX_BUGS = [
    Bug("cells beyond a row", CANDIDATES, "x + 4 <= width", "true"),
    Bug("a row's last cell left out", CANDIDATES, "x + v < width", "x + v + 1 < width"),
    Bug(
        "scores that are not aligned",
        CANDIDATES,
        "reinterpret_cast<std::size_t>(from) % sizeof(Four<Cell>) == 0",
        "true",
    ),
    Bug(
        "a score at the threshold",
        CANDIDATES,
        "scores[v] > plan.threshold ? 1 : 0",
        "scores[v] >= plan.threshold ? 1 : 0",
    ),
    Bug("a NaN in the scores", CANDIDATES, "bad = bad || !isfinite(score);"),
    Bug("all runs of a sort ascend", CANDIDATES, "(low & size) == 0", "true"),
    Bug(
        "no barrier in a sort",
        CANDIDATES,
        "__syncthreads();  // keys of the step before",
        race=True,
    ),
    Bug(
        "a key counts as smaller than itself", CANDIDATES, "run[middle] < key", "run[middle] <= key"
    ),
    Bug(
        "keys beyond the last run",
        CANDIDATES,
        "count_smaller(keys + first, min(kRun, count - first), key)",
        "count_smaller(keys + first, kRun, key)",
    ),
    Bug("the first box of a cell for all", CANDIDATES, "own % level.anchors", "own - own"),
    Bug(
        "a NaN in a box",
        CANDIDATES,
        "if (!is_finite(box)) atomicOr(&plan.bad[image], bad_boxes(number));",
    ),
    Bug(
        "candidates that suppress as if they were kept",
        SUPPRESSION,
        "threadIdx.x < count ? boxes[first + threadIdx.x] : no_box()",
        "boxes[first + threadIdx.x]",
    ),
    Bug(
        "kept boxes written over",
        SUPPRESSION,
        "__syncthreads();  // the part before is still read",
    ),
    Bug("no barrier for kept boxes", SUPPRESSION, "__syncthreads();  // the part is whole"),
    Bug("no barrier for a tile", SUPPRESSION, "__syncthreads();  // the tile is whole"),
    Bug(
        "dropped ones drop others",
        SUPPRESSION,
        "overlaps & tile.kept[word]",
        "overlaps",
    ),
    Bug(
        "kept too early", SUPPRESSION, "open && dropped == 0 && waits == 0", "open && dropped == 0"
    ),
    Bug("bits written over", SUPPRESSION, "__syncthreads();  // bits are still read", race=True),
    Bug("one rank for a warp", SUPPRESSION, "__popc(bits & ((1U << threadIdx.x % 32) - 1))", "0"),
    Bug("one box too many", SUPPRESSION, "rank >= plan.listed", "rank > plan.listed"),
    Bug("regions left out", SUPPRESSION, "region += kWarps", "region += 2 * kWarps"),
    Bug("candidates not set back", SUPPRESSION, "plan.counts[image] = 0;"),
    Bug("errors not set back", SUPPRESSION, "plan.bad[image] = 0;"),
    Bug(
        "candidates never cleared",
        HOST,
        "memory.allocate(plan.counts, plan.batch, &stream);",
        "memory.allocate(plan.counts, plan.batch);",
    ),
    Bug(
        "enqueue waits",
        HOST,
        "if (state.plan.batch == 0) return;",
        "if (state.plan.batch == 0) return; stream.synchronize();",
    ),
    Bug(
        "boxes in the padding",
        SUPPRESSION,
        "is_visible(to_box(box), plan.width, plan.height)",
        "is_visible(to_box(box), 1e9F, 1e9F)",
    ),
]
