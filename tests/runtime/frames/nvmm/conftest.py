"""Surfaces of a stand-in for libnvbufsurface, compiled with the layout of its header."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecount.runtime.frames.nvmm import library

HERE = Path(__file__).parent
BYTES = {1: 1, 27: 3, 28: 3, 19: 4, 20: 4, 23: 4, 24: 4}


class Stub:
    """A stand-in, and surfaces of it in memory of NumPy."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.library: Any = ctypes.CDLL(str(path))
        self.library.stub_calls.restype = ctypes.c_char_p
        self.library.stub_surface.restype = ctypes.c_void_p
        for name in ("params", "surface", "egl_frame"):
            getattr(self.library, f"stub_{name}_size").restype = ctypes.c_size_t

    def surface(
        self,
        pixels: Any,
        color: int = 6,
        memory: int = 4,
        layout: int = 0,
        size: tuple[int, int] = (16, 8),
        pitch: int = 256,
        buffers: int = 1,
    ) -> int:
        """Make a surface whose last buffer lies in an array; the other ones are empty."""
        width, height = size
        surface: int = self.library.stub_surface(buffers, memory)
        address = pixels if isinstance(pixels, int) else pixels.ctypes.data
        self.library.stub_buffer(
            *(ctypes.c_void_p(surface), buffers - 1, color, layout, width, height, pitch),
            *(BYTES.get(color, 1), pitch * height if color not in BYTES else 0),
            ctypes.c_void_p(address),
        )
        return surface

    def fail(self, call: str) -> None:
        """Let a call fail from now on."""
        self.library.stub_fail(call.encode())

    @property
    def calls(self) -> list[str]:
        """What was called since the surface was made."""
        return self.library.stub_calls().decode().split()  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """Return a function that gives the stand-in, of the older or the newer layout."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler for the stub library")
    folder = tmp_path_factory.mktemp("nvmm")

    def compile_stub(newer: bool) -> Path:
        path = folder / f"nvbufsurface-{newer}.so"
        if not path.exists():
            flags = ["-shared", "-fPIC", "-w", *(["-DNEWER"] if newer else [])]
            subprocess.run([compiler, *flags, "-o", path, HERE / "stub.c"], check=True)
        return path

    return compile_stub


@pytest.fixture(params=[False, True], ids=["r36", "r39"])
def stub(
    request: pytest.FixtureRequest,
    compiled: Callable[[bool], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Stub]:
    """Put the stand-in in the place of libnvbufsurface and of the driver."""
    path = compiled(request.param)
    load = ctypes.CDLL

    def load_stub(name: str, *args: Any, **options: Any) -> ctypes.CDLL:
        ours = name in ("libnvbufsurface.so", "libcuda.so.1")
        return load(str(path) if ours else name, *args, **options)

    monkeypatch.setattr(ctypes, "CDLL", load_stub)
    library.load_libraries.cache_clear()
    yield Stub(path)
    library.load_libraries.cache_clear()


@pytest.fixture
def pixels() -> np.ndarray:
    """Return rows of 256 bytes, in which every byte of a frame of 16 x 8 pixels is another."""
    return np.random.default_rng(5).integers(0, 256, (12, 256), np.uint8)
