"""Programs whose kernels are the PTX that nvcc makes of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ptx.translate import translate

HERE = Path(__file__).parent
EMULATION = HERE.parent / "emulate"
CPP = HERE.parents[2] / "cpp_ext"
# The sources of a program: its kernels and its test.
PROGRAMS = {
    "maps": ("count_maps.cu", EMULATION / "counts.cpp"),
    "boxes": ("count_boxes.cu", EMULATION / "boxes.cpp"),
    "frames": ("preprocess.cu", HERE / "frames.cpp"),
}
# The last one is machine code of a processor that this one may not be.
OTHERS = {"no_device", "kernels_avx2"}
NVCC_FLAGS = ["-std=c++17", "--fmad=false", "--ptx"]
# Every instruction is a statement, whatever becomes of its result; integers wrap around.
FLAGS = ["-std=c++20", "-O1", "-ffp-contract=off", "-fwrapv", "-fno-strict-aliasing"]
# A .cu file is included by the source that knows its kernels, whose linkage is internal.
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-subobject-linkage"]
UNUSED = [f"-Wno-unused-{what}" for what in ("variable", "but-set-variable", "label", "parameter")]


def run(*command: str | Path) -> str:
    """Run a tool, and return what it prints.

    Raises:
        RuntimeError: it fails; the message is what it said.
    """
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout[-4000:])
    return done.stdout


def missing_tool(*tools: str) -> str:
    """Return why programs that need some tools cannot be built here; empty if they can."""
    if not CPP.is_dir():
        return "the C++ sources are not at hand"
    absent = [tool for tool in tools if shutil.which(tool) is None]
    return f"{absent[0]} is not installed" if absent else ""


def make_ptx(source: Path, architecture: int, output: Path, *flags: str) -> str:
    """Return the PTX of a .cu file for an architecture such as 87."""
    folders = [f"-I{CPP / name}" for name in ("include", "src")]
    run(
        "nvcc", *NVCC_FLAGS, f"-arch=compute_{architecture}", *folders, *flags, source, "-o", output
    )
    return output.read_text()


def without_target(text: str) -> str:
    """Return PTX without the architecture and its limits: for some, no more than that differs."""
    return re.sub(r"^\.(target|minnctapersm) .*$", "", text, flags=re.MULTILINE)


def link(objects: Sequence[Path], program: Path) -> Path:
    """Link a program, and return where it is."""
    run("g++", *objects, "-ldl", "-lpthread", "-o", program)
    return program


class Build:
    """Objects and programs in a folder; each source is compiled once.

    Args:
        folder: for all that is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, Path] = {}
        self._objects: list[Path] = []

    def objects(self) -> list[Path]:
        """Return the C++ reference, and the objects of CUDA's runtime on the emulation."""
        if not self._objects:
            sources = [each for each in (CPP / "src").glob("*.cpp") if each.stem not in OTHERS]
            sources += [CPP / "cuda" / f"{name}.cpp" for name in ("context", "memory", "stream")]
            self._objects = self.compile_all(sorted(sources), self.folder)
        return self._objects

    def program(
        self, name: str, text: str, cuda: Path = CPP / "cuda", flags: Sequence[str] = ()
    ) -> Path:
        """Return a program that runs PTX, built anew only if the PTX is another.

        Args:
            name: of PROGRAMS.
            text: PTX of its kernels.
            cuda: folder of the sources that the PTX was made of.
            flags: further ones for the host's side of the kernels.
        """
        kernels, test = PROGRAMS[name]
        known = f"{name} {cuda} {without_target(text)}"
        if known not in self.made:
            folder = self.folder / f"{name}-{len(self.made)}"
            folder.mkdir()
            for file, source in translate(text, kernels).items():
                (folder / file).write_text(source)
            sources = sorted(folder.glob("*.cpp"), key=lambda file: -file.stat().st_size)
            own = self.compile_all([*sources, test], folder, cuda, flags)
            self.made[known] = link([*self.objects(), *own], folder / name)
        return self.made[known]

    def compile_all(
        self,
        sources: Sequence[Path],
        folder: Path,
        cuda: Path = CPP / "cuda",
        flags: Sequence[str] = (),
    ) -> list[Path]:
        # The emulation comes first: its headers stand for CUDA's.
        folders = [EMULATION, HERE, CPP / "include", CPP / "src", cuda]
        includes = [f"-I{each}" for each in folders]

        def compile_one(source: Path) -> Path:
            output = folder / f"{source.parent.name}-{source.stem}.o"
            warnings = [*WARNINGS, *UNUSED]
            run("g++", *FLAGS, *warnings, *flags, *includes, "-c", source, "-o", output)
            return output

        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            return list(pool.map(compile_one, sources))


class Compiler:
    """PTX and programs, each made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.build = Build(folder)
        self._ptx: dict[tuple[str, int], str] = {}

    def ptx(self, program: str, architecture: int) -> str:
        key = program, architecture
        if key not in self._ptx:
            source = CPP / "cuda" / PROGRAMS[program][0]
            output = self.folder / f"{program}-{architecture}.ptx"
            self._ptx[key] = make_ptx(source, architecture, output)
        return self._ptx[key]

    def program(self, name: str, architecture: int) -> Path:
        return self.build.program(name, self.ptx(name, architecture))
