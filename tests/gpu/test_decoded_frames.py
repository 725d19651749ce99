"""Frames that come from NVIDIA's decoder or from NVMM, read on the GPU where they lie."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from typing import Any

import numpy as np
import pytest
import standin_pynvvideocodec as standin

from clips import encode, picture
from edgecount import NV12Frame, NvmmSurface, _ext
from edgecount.errors import BackendError, InputError
from edgecount.runtime.frames.intake import FrameIntake
from edgecount.runtime.frames.nvmm import layout, library
from edgecount.runtime.frames.pictures import bgr_picture, size_of
from edgecount.runtime.pipeline.outputs import OutputCounter
from edgecount.runtime.sources.nvdec.pool import FramePool
from edgecount.runtime.sources.video import VideoSource


def upload(memory: Any, planes: np.ndarray) -> None:
    stream = _ext.Stream()
    stream.upload(memory, planes)
    stream.synchronize()


def download(array: Any) -> np.ndarray:
    values = np.empty(array.shape, array.dtype)
    stream = _ext.Stream()
    stream.download(array, values)
    stream.synchronize()
    return values


def on_gpu(planes: np.ndarray) -> Any:
    return _ext.DeviceBuffer(planes.nbytes).array(planes.shape, "uint8")


def test_a_whole_buffer_on_the_gpu_is_drawn_like_its_planes() -> None:
    planes = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    memory = on_gpu(planes)
    upload(memory, planes)
    frame = NV12Frame.from_buffer(memory, "bt709")
    assert size_of(frame) == (16, 8)
    assert (bgr_picture(frame) == bgr_picture(NV12Frame(planes[:8], planes[8:], "bt709"))).all()


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put the stand-in in the place of PyNvVideoCodec, with its memory on the GPU."""
    monkeypatch.setitem(sys.modules, "PyNvVideoCodec", standin)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: True if name == "PyNvVideoCodec" else find(name)
    )
    monkeypatch.setattr("edgecount.runtime.sources.nvdec.decoder.why_no_gpu", lambda: None)
    monkeypatch.setattr(standin, "make_memory", on_gpu)
    monkeypatch.setattr(standin, "fill_memory", upload)
    return standin


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.mp4"
    pictures = [picture(i) for i in range(9)]
    path.write_bytes(encode("libx264", "mp4", pictures, options={"preset": "fast"}))
    return path


def test_frames_of_nvdec_are_held_until_they_are_counted(decoder, clip):
    """The decoder writes over its frames, and each that is kept stays as it was."""
    frames = [frame.image for frame in VideoSource(clip, hardware="nvdec").frames()]
    intake = FrameIntake(0)
    expected = [frame.image for frame in VideoSource(clip).frames()]
    assert len(frames) == len(expected) == 9
    for frame, shown in zip(frames, expected, strict=True):
        taken = intake.take(frame)
        assert not taken.on_host
        assert taken.pixels.ptr == frame.luma.__cuda_array_interface__["data"][0]  # no copy
        luma, chroma = download(taken.pixels), download(taken.chroma)
        host = bgr_picture(NV12Frame(luma, chroma))
        assert (bgr_picture(frame) == host).all()
        assert np.abs(host.astype(int) - shown).mean() < 2  # FFmpeg blurs colours


def test_memory_of_frames_is_used_again_when_nobody_holds_them():
    stream = _ext.Stream()
    pool = FramePool(0)
    planes = np.arange(24, dtype=np.uint8).reshape(6, 4)
    memory = on_gpu(planes)
    upload(memory, planes)
    first = pool.copy(memory, "bt601", full_range=False)
    held = _ext.device_array(first.luma, stream)
    second = pool.copy(memory, "bt709", full_range=True)
    places = [frame.luma.__cuda_array_interface__["data"][0] for frame in (first, second)]
    assert places[0] != places[1]
    del first
    upload(memory, planes + 100)
    third = pool.copy(memory, "bt601", full_range=False)  # the first is still read by `held`
    assert (download(held) == planes[:4]).all()
    assert third.luma.__cuda_array_interface__["data"][0] not in places
    del held
    fourth = pool.copy(memory, "bt601", full_range=False)
    assert fourth.luma.__cuda_array_interface__["data"][0] == places[0]
    assert (second.matrix, second.full_range) == ("bt709", True)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((6, 4, 3), "uint8"), ((5, 4), "uint8"), ((6, 4), "float32")]
)
def test_what_is_no_nv12_is_no_frame_of_the_decoder(shape, dtype):
    array = _ext.DeviceBuffer(400).array(shape, dtype)
    with pytest.raises(ValueError, match="expected a frame in 8-bit NV12"):
        FramePool(0).copy(array, "bt601", full_range=False)


def test_arrays_are_copied_on_the_gpu():
    stream = _ext.Stream()
    values = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    source, target = (_ext.DeviceBuffer(240).array(values.shape, "float32") for _ in range(2))
    stream.upload(source, values)
    stream.copy(target, source)
    stream.synchronize()
    assert (download(target) == values).all()
    with pytest.raises(ValueError, match=r"source: expected shape \(3, 4, 5\), got \(4, 5\)"):
        stream.copy(target, source[0])
    with pytest.raises(ValueError, match="target: expected a C-contiguous array"):
        stream.copy(target[:, :2], source[:, :2])
    other = _ext.DeviceBuffer(240).array(values.shape, "int32")
    with pytest.raises(TypeError, match="source: expected dtype int32, got float32"):
        stream.copy(other, source)
    with pytest.raises(TypeError, match="source: expected a DeviceArray"):
        stream.copy(target, values)


def test_a_surface_of_nvmm_is_read_where_it_lies(monkeypatch):
    """In CUDA memory, which needs none of the libraries' functions."""
    rows = np.random.default_rng(3).integers(0, 256, (12, 64), np.uint8)
    memory = on_gpu(rows)
    upload(memory, rows)
    params = layout.SurfaceParamsWithCuda(width=16, height=8, pitch=64, colorFormat=33)
    params.dataPtr = memory.ptr
    planes = params.planeParams
    planes.num_planes = 2
    planes.width[:2], planes.height[:2], planes.pitch[:2] = (16, 8), (8, 4), (64, 64)
    planes.offset[1] = 8 * 64
    surface = layout.Surface(batchSize=1, numFilled=1, memType=2)
    surface.surfaceList = ctypes.addressof(params)
    found = library.NvmmLibraries(None, None, layout.SurfaceParamsWithCuda, True, None)  # type: ignore[arg-type]
    monkeypatch.setattr("edgecount.runtime.frames.nvmm.surface.load_libraries", lambda: found)
    with NvmmSurface(ctypes.addressof(surface)) as opened:
        taken = FrameIntake(0).take(opened.frame())
        assert (taken.format, taken.size) == ("nv12_bt709", (16, 8))
        assert taken.pixels.ptr == memory.ptr
        assert taken.pixels.strides == taken.chroma.strides == (64, 1)
        assert (
            bgr_picture(opened.frame())
            == bgr_picture(NV12Frame(rows[:8, :16], rows[8:, :16], "bt709"))
        ).all()
        assert taken.chroma.ptr == memory.ptr + 8 * 64


def test_maps_of_another_engine_on_the_gpu_have_the_cpu_s_counts(make_manifest):
    """Such as those of DeepStream's nvinfer, with or without an axis of the batch."""
    manifest = make_manifest()
    rng = np.random.default_rng(4)
    maps = {
        output.name: rng.random((output.channels, 64 // output.stride, 96 // output.stride)).astype(
            np.float32
        )
        for output in manifest.outputs
    }
    regions = {"left": [(0, 0), (40, 0), (40, 60), (0, 60)]}
    counter = OutputCounter(manifest, (96, 60), (64, 96), resized=(60, 96), regions=regions)
    expected = counter.count(maps)
    assert expected.count > 1
    for shape in ((), (1,)):
        arrays = {}
        for name, values in maps.items():
            array = _ext.DeviceBuffer(values.nbytes).array((*shape, *values.shape), "float32")
            upload(array, values.reshape(array.shape))
            arrays[name] = array
        found = counter.count(arrays)
        assert (found.count, found.density_count) == (expected.count, expected.density_count)
        assert found.regions == expected.regions
        np.testing.assert_array_equal(found.points, expected.points)
        np.testing.assert_array_equal(found.density, expected.density)
    halves = {name: values.astype(np.float16) for name, values in maps.items()}
    arrays_of_halves = {}
    for name, values in halves.items():
        arrays_of_halves[name] = _ext.DeviceBuffer(values.nbytes).array(values.shape, "float16")
        upload(arrays_of_halves[name], values)
    assert counter.count(arrays_of_halves).count == counter.count(halves).count
    assert counter.count(arrays).count == expected.count
    broken = {name: array[:, :, :4] for name, array in arrays.items()}
    with pytest.raises(BackendError, match="expected shape"):
        counter.count(broken)
    with pytest.raises(InputError, match="cannot be taken"):
        counter.count({name: Unreadable() for name in maps})


class Unreadable:
    shape = (1, 1, 8, 12)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        raise ValueError("no address")
