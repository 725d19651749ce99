"""Tiled maps are those of one run, and memory does not grow with the frame."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgecount import EdgeCounter
from edgecount.manifest import InputSpec, Manifest, OutputSpec
from edgecount.runtime.backends.select import open_backend
from edgecount.runtime.models.open import open_model
from edgecount.runtime.pipeline import tiling
from edgecount.runtime.pipeline.tiling import cut_tiles, stitch

SPEC = InputSpec()


def conv_graph() -> onnx.GraphProto:
    """Three 3 x 3 convolutions that halve the size each: every cell sees about 15 pixels."""
    rng = np.random.default_rng(0)
    names, nodes, weights = ["image", "a", "b", "density"], [], []
    for index, channels in enumerate([(4, 3), (4, 4), (1, 4)]):
        values = rng.normal(size=(*channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(values, f"w{index}"))
        nodes.append(
            helper.make_node(
                "Conv",
                [names[index], f"w{index}"],
                [names[index + 1]],
                kernel_shape=[3, 3],
                strides=[2, 2],
                pads=[1, 1, 1, 1],
            )
        )
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["B", 3, "H", "W"])
    density = helper.make_tensor_value_info("density", TensorProto.FLOAT, None)
    return helper.make_graph(nodes, "conv", [image], [density], weights)


@given(st.integers(1, 300), st.integers(1, 300))
def test_cores_partition_the_plane_and_windows_hold_them(rows: int, columns: int) -> None:
    plane = rows * 32, columns * 32
    tiles = cut_tiles(plane, SPEC)
    if plane[0] * plane[1] <= tiling.LARGEST_PLANE:
        assert tiles == ()
        return
    assert sum(tile.core[2] * tile.core[3] for tile in tiles) == plane[0] * plane[1]
    assert len({tile.window[2:] for tile in tiles}) == 1
    for tile in tiles:
        for axis in (0, 1):
            start, size = tile.window[axis], tile.window[axis + 2]
            core, kept = tile.core[axis], tile.core[axis + 2]
            assert 0 <= start <= core <= core + kept <= start + size <= plane[axis]
            assert start == 0 or core - start >= tiling.HALO
            assert start + size == plane[axis] or start + size - core - kept >= tiling.HALO
            assert all(value % 32 == 0 for value in (start, size, core, kept))


def test_no_window_is_smaller_than_what_takes_it() -> None:
    tall = cut_tiles((4800, 4800), SPEC, least=(2176, 3840))
    assert {tile.window[2:] for tile in tall} == {(2176, 3840)}
    assert sum(tile.core[2] * tile.core[3] for tile in tall) == 4800 * 4800
    assert cut_tiles((2176, 3840), SPEC, least=(2176, 3840)) == ()
    # A small frame that is padded to the model's least side: no window lies beyond it.
    assert cut_tiles((2080, 2080), InputSpec(min_side=2080)) == ()


def test_halo_follows_the_models_multiple() -> None:
    tiles = cut_tiles((4800, 4800), InputSpec(multiple=96))
    assert all(value % 96 == 0 for tile in tiles for value in tile.window + tile.core)


def test_stitched_maps_are_those_of_one_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiling, "LARGEST_PLANE", 1)
    monkeypatch.setattr(tiling, "CORE", 128)
    monkeypatch.setattr(tiling, "HALO", 32)
    outputs = (OutputSpec("density", "density", 8),)
    manifest = Manifest("conv", "1", "", SPEC, outputs)
    model = helper.make_model(
        conv_graph(), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    helper.set_model_props(model, {"edgecount.manifest": manifest.to_json()})
    onnx.save(model, tmp_path / "conv.onnx")
    plane = np.random.default_rng(1).normal(size=(1, 3, 416, 352)).astype(np.float32)
    with open_backend(open_model(tmp_path / "conv.onnx"), "onnxruntime").backend as backend:

        def infer(tile: tiling.Tile) -> dict[str, NDArray[np.float32]]:
            top, left, height, width = tile.window
            part = plane[:, :, top : top + height, left : left + width]
            return backend.infer({"image": np.ascontiguousarray(part)})

        tiles = cut_tiles(plane.shape[2:], SPEC)
        assert len(tiles) == 12
        tiled = stitch(tiles, plane.shape[2:], outputs, infer)["density"]
        whole = backend.infer({"image": plane})["density"]
    # Rounding may depend on the size of a run, by the blocks that its kernels work in.
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-5)
    assert tiled.dtype == whole.dtype


@pytest.mark.parametrize("max_side", [None, 2600])
def test_a_big_frame_is_counted_as_a_small_one(
    tiny_model: Path,
    squares: Callable[..., NDArray[np.uint8]],
    max_side: int | None,
) -> None:
    corners = [(0, 0), (1016, 1016), (1024, 1016), (2048, 8), (2584, 1832)]
    frame = squares(2600, 1847, *corners)
    result = EdgeCounter(tiny_model, max_side=max_side).count(frame)
    assert result.density_count == pytest.approx(5)
    np.testing.assert_allclose(
        np.argwhere(result.density)[:, ::-1] * 8,
        sorted(corners, key=lambda corner: (corner[1], corner[0])),
    )
    assert result.peak_count == 4  # two of the squares touch
    assert result.density.shape == (231, 325)


def test_a_big_frame_that_is_shrunk_to_a_big_plane(
    tiny_model: Path, squares: Callable[..., NDArray[np.uint8]]
) -> None:
    frame = np.repeat(np.repeat(squares(2304, 2048, (16, 16), (2288, 2000)), 2, 0), 2, 1)
    result = EdgeCounter(tiny_model, max_side=2304).count(frame)
    assert result.density_count == pytest.approx(2, rel=1e-5)
    assert result.density_stride_xy == (16, 16)


# The peak of the process itself, in KB: `ru_maxrss` would have that of the tests, which start it.
PEAK = """
def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
"""
needs_peak = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc"
)


@needs_peak
def test_memory_of_an_8k_frame(tiny_model: Path) -> None:
    code = (
        f"{PEAK}\n"
        "import numpy, edgecount\n"
        f"counter = edgecount.EdgeCounter({str(tiny_model)!r}, max_side=None)\n"
        "counter.count(numpy.full((64, 64, 3), 255, numpy.uint8))\n"
        "frame = numpy.full((4320, 7680, 3), 255, numpy.uint8)\n"
        "before = peak()\n"
        "result = counter.count(frame)\n"
        "print(result.density_count, peak() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, kilobytes = done.stdout.split()
    assert float(count) == pytest.approx(4320 * 7680 / 64)
    # The maps are 30 MB and a tile is 20 MB; the plane as floats would be 400 MB.
    assert int(kilobytes) < 200_000


@needs_peak
def test_memory_of_an_8k_frame_with_the_bundled_model() -> None:
    code = (
        f"{PEAK}\n"
        "import numpy, edgecount\n"
        "counter = edgecount.EdgeCounter(max_side=None, backend='onnxruntime')\n"
        "result = counter.count(numpy.zeros((4320, 7680, 3), numpy.uint8))\n"
        "print(peak())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 2_000_000
