"""NVIDIA's libraries for NVMM, loaded when a surface is first opened."""

from __future__ import annotations

import ctypes
import functools
from typing import Any, Final, NamedTuple

from edgecount.errors import InputError
from edgecount.runtime.cuda.driver import PrimaryContext
from edgecount.runtime.frames.nvmm.layout import SurfaceParams, SurfaceParamsWithCuda

# Without a path as the loader finds it, then where JetPack and DeepStream put it.
_PLACES: Final = (
    "libnvbufsurface.so",
    "/usr/lib/aarch64-linux-gnu/nvidia/libnvbufsurface.so",
    "/usr/lib/aarch64-linux-gnu/tegra/libnvbufsurface.so",
    "/opt/nvidia/deepstream/deepstream/lib/libnvbufsurface.so",
)
_DRIVER: Final = "libcuda.so.1"
_INSTALL: Final = (
    "on a Jetson it belongs to Jetson Linux (sudo apt install nvidia-l4t-multimedia, in a "
    "container --runtime nvidia), elsewhere to DeepStream"
)


class NvmmLibraries(NamedTuple):
    """The library of NvBufSurface and the CUDA driver.

    Attributes:
        nvbufsurface: libnvbufsurface.
        cuda: the driver, whose EGL functions are used.
        params: layout of one buffer's NvBufSurfaceParams in this version.
        maps_cuda: whether it may map a buffer to CUDA without EGL.
        context: the GPU's primary context, in which buffers are mapped.
    """

    nvbufsurface: Any
    cuda: Any
    params: type[ctypes.Structure]
    maps_cuda: bool
    context: PrimaryContext


@functools.cache
def load_libraries() -> NvmmLibraries:
    """Load libnvbufsurface and the CUDA driver.

    Raises:
        InputError: one of them is not there, or has not the functions that are needed.
    """
    library = _load(_PLACES, f"NVMM: no libnvbufsurface.so: {_INSTALL}")
    cuda = _load((_DRIVER,), f"NVMM: no NVIDIA driver ({_DRIVER} is not there)")
    _declare(
        library,
        "libnvbufsurface.so",
        NvBufSurfaceFromFd=(ctypes.c_int, ctypes.POINTER(ctypes.c_void_p)),
        NvBufSurfaceMapEglImage=(ctypes.c_void_p, ctypes.c_int),
        NvBufSurfaceUnMapEglImage=(ctypes.c_void_p, ctypes.c_int),
    )
    _declare(
        cuda,
        _DRIVER,
        cuGetErrorName=(ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
        cuGraphicsEGLRegisterImage=(
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.c_void_p,
            ctypes.c_uint,
        ),
        cuGraphicsResourceGetMappedEglFrame=(
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_uint,
            ctypes.c_uint,
        ),
        cuGraphicsUnregisterResource=(ctypes.c_void_p,),
    )
    # The function came with the layout that has room for what it gives.
    maps_cuda = hasattr(library, "NvBufSurfaceMapCudaBuffer")
    if maps_cuda:
        _declare(
            library,
            "libnvbufsurface.so",
            NvBufSurfaceMapCudaBuffer=(ctypes.c_void_p, ctypes.c_int),
            NvBufSurfaceUnMapCudaBuffer=(ctypes.c_void_p, ctypes.c_int),
        )
    params = SurfaceParamsWithCuda if maps_cuda else SurfaceParams
    return NvmmLibraries(library, cuda, params, maps_cuda, PrimaryContext(0))


def _load(names: tuple[str, ...], missing: str) -> Any:
    reasons = []
    for name in names:
        found = _try(name)
        if not isinstance(found, str):
            return found
        reasons.append(found)
    # One that is there may lack another library, or be for another processor: the loader says so.
    told = [text for text in reasons if not _is_absent(text, names)]
    raise InputError(missing + (f" ({told[0]})" if told else ""))


def _is_absent(reason: str, names: tuple[str, ...]) -> bool:
    return reason.startswith(names) and "No such file" in reason


def _try(name: str) -> Any:
    """Return a library, or what the loader says of it."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        return str(error)


def _declare(library: Any, name: str, **functions: Any) -> None:
    lacking = [function for function in functions if not hasattr(library, function)]
    if lacking:
        raise InputError(
            f"NVMM: expected the function {lacking[0]} in {name}, which this version does not "
            "have: edgecount is made for JetPack 6 and 7, and DeepStream from 7.1 on"
        )
    for function, arguments in functions.items():
        getattr(library, function).argtypes = arguments
