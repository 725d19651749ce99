"""Surfaces in NVMM: how they are mapped, what frames they give, and what is refused."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount.errors import BackendError, InputError
from edgecount.runtime.frames.nvmm import NvmmSurface, layout, library
from edgecount.runtime.frames.pixel_formats import NV12Frame, PixelFrame

EGL = ["MapEglImage", "push", "register", "frame", "pop"]
CLOSED = ["push", "unregister", "pop", "UnMapEglImage"]


def bytes_of(array: Any) -> NDArray[np.uint8]:
    """Return what an array on the GPU holds, which lies in memory of NumPy here."""
    interface = array.__cuda_array_interface__
    memory = {**interface, "data": interface["data"]}
    return np.asarray(type("Memory", (), {"__array_interface__": memory})())


def test_structures_are_those_of_the_header(stub):
    params = library.load_libraries().params
    assert ctypes.sizeof(params) == stub.library.stub_params_size()
    assert (
        params.mappedAddr.offset + type(params().mappedAddr).eglImage.offset
        == stub.library.stub_egl_offset()
    )
    assert ctypes.sizeof(layout.EglFrame) == stub.library.stub_egl_frame_size() == 64
    assert layout.Surface.surfaceList.offset == 24


def test_a_hardware_buffer_gives_nv12(stub, pixels):
    with NvmmSurface(stub.surface(pixels)) as surface:
        frame = surface.frame()
        assert isinstance(frame, NV12Frame)
        assert (surface.width, surface.height, surface.memory) == (16, 8, "surface array")
        assert (bytes_of(frame.luma) == pixels[:8, :16]).all()
        assert (bytes_of(frame.chroma) == pixels[8:, :16]).all()
        assert frame.luma.__cuda_array_interface__["data"][1]  # read-only
        mapped = stub.calls
    newer = library.load_libraries().maps_cuda
    assert mapped == (["push", "MapCudaBuffer", "pop"] if newer else EGL)
    assert stub.calls[len(mapped) :] == (["push", "UnMapCudaBuffer", "pop"] if newer else CLOSED)


def test_egl_does_where_the_newer_way_does_not_work(stub, pixels):
    address = stub.surface(pixels)
    stub.fail("MapCudaBuffer")  # as an Orin on JetPack 7 says
    with NvmmSurface(address) as surface:
        assert (bytes_of(surface.frame().luma) == pixels[:8, :16]).all()
    assert stub.calls[-9:] == EGL + CLOSED


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("MapEglImage", "NvBufSurfaceMapEglImage fails"),
        ("register", r"cuGraphicsEGLRegisterImage fails \(CUDA_ERROR_STUB\)"),
        ("frame", "cuGraphicsResourceGetMappedEglFrame fails"),
        ("array", "as an array, not as rows of bytes"),
    ],
)
def test_a_buffer_that_cannot_be_mapped_is_unmapped_and_named(
    stub, pixels, monkeypatch, call, words
):
    found = library.load_libraries()._replace(maps_cuda=False)
    monkeypatch.setattr("edgecount.runtime.frames.nvmm.surface.load_libraries", lambda: found)
    address = stub.surface(pixels)
    stub.fail(call)
    with pytest.raises(InputError, match=f"NVMM: the buffer cannot be mapped to CUDA: .*{words}"):
        NvmmSurface(address)
    assert stub.calls.count("push") == stub.calls.count("pop")
    assert ("unregister" in stub.calls) == (call in {"frame", "array"})
    assert ("UnMapEglImage" in stub.calls) == (call != "MapEglImage")


def test_a_buffer_of_a_batch_is_found_by_its_number(stub, pixels):
    address = stub.surface(pixels, buffers=3)
    with NvmmSurface(address, index=2) as surface:
        assert (bytes_of(surface.frame().luma) == pixels[:8, :16]).all()
    with pytest.raises(InputError, match="expected a surface with a buffer 3, got one of 3"):
        NvmmSurface(address, index=3)


def test_cuda_memory_needs_no_mapping(stub, pixels):
    with NvmmSurface(stub.surface(pixels, color=34, memory=2)) as surface:
        frame = surface.frame()
        assert surface.memory == "device"
        assert (frame.matrix, frame.full_range) == ("bt709", True)
        assert (bytes_of(frame.chroma) == pixels[8:, :16]).all()
    assert stub.calls == []


def test_a_file_descriptor_leads_to_its_surface(stub, pixels):
    stub.surface(pixels)
    with NvmmSurface.from_fd(7) as surface:
        assert surface.width == 16
    with pytest.raises(InputError, match="file descriptor of a buffer in NVMM, got 8"):
        NvmmSurface.from_fd(8)


def test_a_mapped_buffer_of_gstreamer_is_the_surface(stub, pixels):
    address = stub.surface(pixels)
    content = ctypes.string_at(address, stub.library.stub_surface_size())
    for given in (content, memoryview(content)):
        with NvmmSurface.from_buffer(given) as surface:
            assert (bytes_of(surface.frame().luma) == pixels[:8, :16]).all()
    with pytest.raises(InputError, match="got 8: is the buffer in memory:NVMM"):
        NvmmSurface.from_buffer(content[:8])


@pytest.mark.parametrize(
    ("color", "order", "channels"),
    [
        (1, "grey", 1),
        (19, "rgbx", 4),
        (20, "bgrx", 4),
        (23, "rgbx", 4),
        (24, "bgrx", 4),
        (27, "rgb", 3),
        (28, "bgr", 3),
    ],
)
def test_packed_pixels_keep_their_order(stub, pixels, color, order, channels):
    with NvmmSurface(stub.surface(pixels, color)) as surface:
        frame = surface.frame()
        assert isinstance(frame, PixelFrame)
        assert frame.format == order
        packed = pixels[:8, : 16 * channels].reshape(8, 16, channels)
        assert (bytes_of(frame.pixels).reshape(packed.shape) == packed).all()


def test_nv12_keeps_its_matrix_and_range(stub, pixels):
    # NVBUF_COLOR_FORMAT_NV12, _NV12_ER, _NV12_709, _NV12_709_ER
    formats = []
    for color in (6, 7, 33, 34):
        with NvmmSurface(stub.surface(pixels, color)) as surface:
            formats.append(surface.frame().format)
    assert formats == ["nv12_bt601", "nv12_bt601_full", "nv12_bt709", "nv12_bt709_full"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": 1}, "expected a pitch-linear surface, got a block-linear one"),
        ({"color": 36}, "got NvBufSurface's color format 36: nvvidconv makes one"),  # BT.2020
        ({"color": 29}, "got NvBufSurface's color format 29"),  # 10 bits
        ({"memory": 6}, "got NVBUF_MEM_SYSTEM"),
        ({"pitch": 8}, r"got \[\(16, 8\), \(8, 4\)\] with rows of \[8, 8\] bytes"),
        ({"color": 2}, "color format 2"),  # I420
    ],
)
def test_what_cannot_be_counted_as_it_is_is_refused(stub, pixels, options, words):
    with pytest.raises(InputError, match=words):
        NvmmSurface(stub.surface(pixels, **options))
    assert stub.calls == []


def test_a_surface_without_memory_is_refused(stub):
    with pytest.raises(InputError, match="in CUDA memory, and has no address"):
        NvmmSurface(stub.surface(0, memory=2))
    with pytest.raises(InputError, match="address"):
        NvmmSurface(stub.surface(0))
    with pytest.raises(InputError, match="expected the address of an NvBufSurface, got 0"):
        NvmmSurface(0)


def test_a_closed_surface_gives_no_frame_and_closes_once(stub, pixels):
    surface = NvmmSurface(stub.surface(pixels))
    surface.close()
    calls = stub.calls
    surface.close()
    assert stub.calls == calls
    with pytest.raises(InputError, match="the surface is closed"):
        surface.frame()


def test_a_failed_unmapping_is_an_error(stub, pixels):
    surface = NvmmSurface(stub.surface(pixels))
    stub.fail("UnMapCudaBuffer" if library.load_libraries().maps_cuda else "unregister")
    with pytest.raises(BackendError, match="the buffer stays mapped"):
        surface.close()


def test_a_missing_library_is_named_with_what_to_install(monkeypatch):
    library.load_libraries.cache_clear()
    monkeypatch.setattr(library, "_PLACES", ("libnvbufsurface-is-not-here.so",))
    with pytest.raises(InputError, match=r"no libnvbufsurface.so: .*apt install") as told:
        NvmmSurface.from_fd(7)
    assert "(" not in str(told.value).partition("DeepStream")[2]  # nothing was there, no reason


def test_a_library_of_another_kind_is_named_with_the_loader_s_words(monkeypatch, tmp_path):
    library.load_libraries.cache_clear()
    (tmp_path / "lib.so").write_bytes(b"no library")
    monkeypatch.setattr(library, "_PLACES", (str(tmp_path / "lib.so"),))
    with pytest.raises(InputError, match=r"DeepStream \(.*lib.so: "):
        NvmmSurface.from_fd(7)
