"""Count the issue slots of the `resize` kernel from nvcc's machine code: computed, not measured.

    python benchmarks/gpu/resize_slots.py [--sources DIR] [--cuobjdump PATH] [--arch sm_87 ...]

The slots are those of a warp: for a row of the filter, blended for four pixels; for a column of it;
for all else, once; and their sum for a 1920 x 1080 frame as 640 x 480 pixels. A loop's slots are
the instructions on its shortest way round: of the two ways to read pixels that is the one by whole
words. nvcc and cuobjdump are needed, a GPU is not.
"""

from __future__ import annotations

import argparse
import heapq
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
ARCHITECTURES = ("sm_75", "sm_87", "sm_90", "sm_110")
INSTRUCTION = re.compile(r"/\*([0-9a-f]{4,5})\*/\s+(.*?)\s*;")
JUMP = re.compile(r"(?:BRA|CALL)\S*\s.*?0x([0-9a-f]+)$")
PIXELS_LOOP = {"LDG", "FADD"}  # the taps of the vertical filter: they read the frame
# Taps of both filters from 1920 x 1080 to 640 x 480 pixels.
ROWS, COLUMNS = 5, 6
COLUMNS_LOOP = {"LDS", "FADD"}  # those of the horizontal one: they read shared memory


class Loop(NamedTuple):
    """A loop from its first instruction to the last, and the names of those on its shortest way.

    `steps` is how many taps of a filter one round makes.
    """

    head: int
    tail: int
    instructions: Counter[str]
    steps: int

    @property
    def slots(self) -> float:
        """Instructions of one step."""
        return self.instructions.total() / self.steps


class Kernel:
    """The machine code of a kernel as a graph of its instructions."""

    def __init__(self, name: str, listing: str) -> None:
        self.name = name
        found = [(int(place, 16), text) for place, text in INSTRUCTION.findall(listing)]
        self.text = dict(found)
        following = dict(zip(self.text, list(self.text)[1:], strict=False))
        self.next: dict[int, list[int]] = {}
        for place, text in found:
            bare = re.sub(r"^@!?U?P\d+\s+", "", text)
            jump = JUMP.match(bare)
            conditional = text.startswith("@") or (jump and re.search(r"\s!?U?P\d", bare))
            ways = [int(jump.group(1), 16)] if jump else []
            if (not jump and not bare.startswith("EXIT")) or conditional:
                ways += [following[place]] if place in following else []
            self.next[place] = [way for way in ways if way in self.text]

    def opcode(self, place: int) -> str:
        """Return an instruction's name, without its predicate and its modifiers."""
        return re.sub(r"^@!?U?P\d+\s+", "", self.text[place]).split()[0].split(".")[0]

    def shortest_way(self, start: int, end: int) -> list[int]:
        """Return the places from start to end, both included; none if there is no way."""
        queue: list[tuple[int, int, list[int]]] = [(1, start, [start])]
        seen = set()
        while queue:
            length, place, way = heapq.heappop(queue)
            if place == end:
                return way
            if place not in seen:
                seen.add(place)
                for after in self.next[place]:
                    heapq.heappush(queue, (length + 1, after, [*way, after]))
        return []

    def loops(self) -> Iterator[Loop]:
        """Yield the innermost loops, which jump back and contain no other."""
        back = [(to, place) for place, ways in self.next.items() for to in ways if to < place]
        for head, tail in back:
            inside = [pair for pair in back if head <= pair[0] and pair[1] <= tail]
            if inside == [(head, tail)]:
                way = self.shortest_way(head, tail)
                names = Counter(self.opcode(place) for place in way)
                yield Loop(head, tail, names, 1)

    def beside(self, *loops: Loop) -> int:
        """Return the instructions of a thread that goes through loops in turn, without theirs."""
        exits = [place for place in self.text if self.opcode(place) == "EXIT"]
        start, slots = next(iter(self.text)), 0
        for loop in loops:
            slots += len(self.shortest_way(start, loop.head)) - 1
            start = min(self.next[loop.tail], key=lambda way: way == loop.head)
        ways = [len(self.shortest_way(start, end)) for end in exits]
        return slots + min(length for length in ways if length)


def step_slots(kernel: Kernel) -> tuple[Loop, Loop]:
    """Return the loops over rows of a quad of pixels by words, and over blended columns."""
    rows, columns = [], []
    for loop in kernel.loops():
        names = loop.instructions
        if set(names) >= PIXELS_LOOP and "LDS" not in names:
            # 12 values of a quad are added in each step.
            rows.append(loop._replace(steps=names["FADD"] // 12))
        elif set(names) >= COLUMNS_LOOP:
            columns.append(loop._replace(steps=names["FADD"] // 3))
    return min(rows, key=lambda loop: loop.slots), min(columns, key=lambda loop: loop.slots)


def kernels(sources: Path, arch: str, cuobjdump: str) -> Iterator[Kernel]:
    """Compile the kernels for an architecture and yield those that resize to float32."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "preprocess.cubin"
        include = [f"-I{sources / 'cpp_ext' / name}" for name in ("include", "src")]
        source = sources / "cpp_ext" / "cuda" / "preprocess.cu"
        flags = ["-std=c++17", "--fmad=false", "-cubin", f"-arch={arch}"]
        compiler = ["nvcc", *flags, *include, source, "-o", cubin]
        subprocess.run(compiler, check=True)
        listing = subprocess.run(
            [cuobjdump, "-sass", cubin], check=True, capture_output=True, text=True
        ).stdout
    for part in listing.split("Function : ")[1:]:
        name = part.split(maxsplit=1)[0]
        # Named by their layout, or before there were several by whether they read NV12.
        found = re.search(r"resizeI(?:LNS1_6LayoutE(\d)|Lb(\d))EfE", name)
        if found:
            layout = ["three", "four", "grey", "nv12"][int(found[1])] if found[1] else None
            yield Kernel(layout or ["three", "nv12"][int(found[2])], part)


def main() -> None:
    """Print the slots of each architecture and layout as a table."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--sources", type=Path, default=ROOT, help="a checkout of edgecount")
    disassembler = "which prints machine code"
    parser.add_argument("--cuobjdump", default="cuobjdump", metavar="PATH", help=disassembler)
    parser.add_argument("--arch", nargs="+", default=ARCHITECTURES, help="such as sm_87")
    options = parser.parse_args()
    for tool in ("nvcc", options.cuobjdump):
        if shutil.which(tool) is None:
            parser.error(f"{tool} is not there: it belongs to the CUDA toolkit")
    print("| architecture | pixels | a row of four | of these I2F | a column | once | 1080p |")
    print("|---|---|---|---|---|---|---|")
    for arch in options.arch:
        for kernel in kernels(options.sources, arch, options.cuobjdump):
            row, column = step_slots(kernel)
            converted = row.instructions["I2F"] / row.steps
            once = kernel.beside(row, column)
            whole = once + ROWS * row.slots + COLUMNS * column.slots
            found = f"{row.slots:.1f} | {converted:g} | {column.slots:.1f} | {once} | {whole:.0f}"
            print(f"| {arch} | {kernel.name} | {found} |")


if __name__ == "__main__":
    main()
