"""Bugs for the preprocessing kernels, to prove that their test finds such. See planted_bugs.py."""

from __future__ import annotations

from planted_bugs import Bug

PIXELS = "pixels.cuh"
KERNELS = "preprocess.cu"

FRAME_BUGS = [
    Bug(
        "words that are not aligned",
        PIXELS,
        "frame.aligned && place.left >= kQuad",
        "place.left >= kQuad",
    ),
    Bug(
        "a word beyond the row",
        PIXELS,
        "frame.aligned && place.left >= kQuad",
        "frame.aligned",
    ),
    Bug(
        "bytes beyond the row",
        PIXELS,
        "if (i < bytes) word |= static_cast<std::uint32_t>(from[i]) << (8 * i);",
        "word |= static_cast<std::uint32_t>(from[i]) << (8 * i);",
    ),
    Bug("a row of chroma too late", PIXELS, "y % 2 == 1", "y % 2 == 0"),
    Bug(
        "a row of chroma for each of luma",
        PIXELS,
        "y / 2 * frame.chroma_stride",
        "y * frame.chroma_stride",
    ),
    Bug(
        "channels in another order", PIXELS, "bytes == 1 ? 0 : i % 3", "bytes == 1 ? 0 : 2 - i % 3"
    ),
    Bug("chroma of the other pair", PIXELS, "byte(chroma, i & 2U)", "byte(chroma, 2U - (i & 2U))"),
    Bug(
        "values beyond the row",
        PIXELS,
        "if (i < n) write(to + i, values[i]);",
        "write(to + i, values[i]);",
    ),
    Bug(
        "vectors that are not aligned",
        PIXELS,
        "n >= kQuad && reinterpret_cast<std::uintptr_t>(to) % (kQuad * sizeof(Out)) == 0",
        "n >= kQuad",
    ),
    Bug("black for padding", KERNELS, "i < inside ", "true "),
    Bug(
        "no barrier for blended rows",
        KERNELS,
        "__syncthreads();\n        if (inside) resample(plan, at.x, first, last, blended, sums);",
        "if (inside) resample(plan, at.x, first, last, blended, sums);",
    ),
    Bug("no barrier between pieces", KERNELS, "if (first != begin) __syncthreads();"),
    Bug(
        "columns beyond the piece",
        KERNELS,
        "begin + filter.taps < end ? begin + filter.taps : end",
        "begin + filter.taps",
    ),
    Bug("weights from the first on", KERNELS, "skipped * plan.resized_width + x", "x"),
    Bug(
        "a product that is rounded twice",
        KERNELS,
        "__fmaf_rn(weight, quad.biased[i / 3][i % 3], bias)",
        "weight * quad.biased[i / 3][i % 3] + bias",
    ),
    Bug("channels that are not turned", KERNELS, "by.source[to]", "to"),
    Bug(
        "chroma that is not aligned",
        KERNELS,
        "image.row_stride |\n                         image.chroma_stride",
        "image.row_stride",
    ),
]
