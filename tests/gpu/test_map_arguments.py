"""Arguments that a map counter takes, and the errors of others."""

from __future__ import annotations

import numpy as np
import pytest

from edgecount import _ext

HEAT, DENSITY = (2, 6, 8), (2, 3, 4)


def make(**changes):
    arguments = {"batch": 2, "heatmap": HEAT[1:], "density": DENSITY[1:], "offset": True}
    return _ext.MapCounter(**arguments | changes)


def array(shape, dtype="float32"):
    return _ext.DeviceBuffer(8192).array(shape, dtype)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"batch": -1}, ValueError, "batch: expected 0 or more, got -1"),
        ({"heatmap": (-1, 4)}, ValueError, "heatmap: expected 0 or more, got -1"),
        ({"density": (4, -1)}, ValueError, "density: expected 0 or more, got -1"),
        ({"heatmap": None}, ValueError, "offset: expected a heatmap with it, got None"),
        ({"heatmap_dtype": "float64"}, TypeError, "heatmap_dtype: expected float32 or float16"),
        ({"density_dtype": "int8"}, TypeError, "density_dtype: .*, got int8"),
        ({"window": 4}, ValueError, "window: expected 3, 5 or 7, got 4"),
        ({"capacity": -1}, ValueError, "capacity: expected 0 or more, got -1"),
        ({"listed": -1}, ValueError, "listed: expected 0 or more, got -1"),
        ({"unit": 0.0}, ValueError, "unit: "),
        ({"masks": "x"}, TypeError, "masks: expected a NumPy array .* got str"),
        ({"masks": np.zeros((1, 3, 4))}, TypeError, "masks: .*float64"),
        ({"masks": np.zeros((3, 4), np.float32)}, ValueError, r"masks: expected shape \(R, H, W\)"),
        ({"masks": np.full((1, 3, 4), 2.0, np.float32)}, ValueError, "masks: "),
        ({"device": 40}, RuntimeError, "CUDA device 40: expected a number from 0"),
    ],
)
def test_counters_that_cannot_be(changes, error, message):
    with pytest.raises(error, match=f"^{message}"):
        make(**changes)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("heatmap", None, TypeError, r"heatmap: expected a DeviceArray .* got NoneType"),
        ("heatmap", np.zeros(HEAT), TypeError, r"heatmap: expected a DeviceArray .* got ndarray"),
        ("heatmap", ((2, 6, 7), "float32"), ValueError, r"heatmap: expected shape \(2, 6, 8\)"),
        ("offset", ((2, 6, 8), "float32"), ValueError, r"offset: expected shape \(2, 2, 6, 8\)"),
        ("density", ((1, 3, 4), "float32"), ValueError, r"density: expected shape \(2, 3, 4\)"),
        (
            "density",
            (DENSITY, "float16"),
            TypeError,
            "density: expected dtype float32, got float16",
        ),
    ],
)
def test_maps_that_are_not_as_announced(stream, name, value, error, message):
    maps = {"heatmap": array(HEAT), "offset": array((2, 2, 6, 8)), "density": array(DENSITY)}
    maps[name] = array(*value) if isinstance(value, tuple) else value
    with pytest.raises(error, match=f"^{message}"):
        make().enqueue(**maps, stream=stream)


def test_maps_that_were_not_announced(stream):
    counter = make(density=None, offset=False)
    with pytest.raises(ValueError, match=r"^density: expected None, as the counter was made for"):
        counter.enqueue(array(HEAT), None, array(DENSITY), stream)


class Strided:
    """Another library's array, with strides of any kind."""

    def __init__(self, shape, strides):
        self.owner = array((2048,))
        changes = {"shape": shape, "strides": tuple(4 * cells for cells in strides)}
        self.__cuda_array_interface__ = self.owner.__cuda_array_interface__ | changes


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((2, 6, 8), (100, 16, 2)),  # gaps between cells
        ((2, 6, 8), (48, 1, 6)),  # columns first
        ((2, 6, 8), (100, 7, 1)),  # rows that overlap
        ((2, 2, 6, 8), (200, 48, 8, 1)),  # images farther apart than planes
    ],
)
def test_layouts_that_kernels_do_not_read(stream, shape, strides):
    maps = {"heatmap": array(HEAT), "offset": array((2, 2, 6, 8)), "density": array(DENSITY)}
    name = "offset" if len(shape) == 4 else "heatmap"
    maps[name] = _ext.device_array(Strided(shape, strides), stream)
    with pytest.raises(ValueError, match=f"^{name}: expected cells side by side in rows, and all"):
        make().enqueue(**maps, stream=stream)


def test_axes_of_one_item_may_have_any_stride(stream):
    counter = make(batch=1, heatmap=(1, 8), density=None)
    heatmap = _ext.device_array(Strided((1, 1, 8), (5, 3, 1)), stream)
    offset = _ext.device_array(Strided((1, 2, 1, 8), (7, 8, 2, 1)), stream)
    for source, shape in ((heatmap, (8,)), (offset[0, :, 0], (2, 8))):
        values = np.linspace(0.0, 0.9, int(np.prod(shape)), dtype=np.float32).reshape(shape)
        stream.upload(source if shape == (2, 8) else source[0, 0], values)
    counter.enqueue(heatmap, offset, None, stream)
    stream.synchronize()
    (peaks,) = counter.read(stream).peaks
    np.testing.assert_allclose(peaks, [[7.42, 0.9, 0.9]], rtol=1e-6)


def test_nothing_is_read_before_anything_was_counted(stream):
    counter, boxes = make(keep_density=True), _ext.BoxCounter(1, [(1, 2, 2, 8, *["float32"] * 2)])
    for counter_of, read in (
        ("Map", lambda: counter.read(stream)),
        ("Map", lambda: counter.density),
        ("Map", lambda: counter.density_of(0)),
        ("Box", lambda: boxes.read(stream)),
    ):
        with pytest.raises(RuntimeError, match=f"^{counter_of}Counter: expected a call of enqueue"):
            read()
    with pytest.raises(TypeError, match="heatmap: expected a DeviceArray"):
        counter.enqueue(1, 1, 1, stream)
    with pytest.raises(RuntimeError, match="expected a call of enqueue"):
        counter.read(stream)


def test_the_density_is_brought_back_as_a_copy(stream):
    counter = make(heatmap=None, offset=False, keep_density=True, unit=2.0)
    assert make().density is None
    density = array(DENSITY)
    for value in (1.0, 3.0):
        stream.upload(density, np.full(DENSITY, value, np.float32))
        counter.enqueue(None, None, density, stream)
        stream.synchronize()
        kept = counter.density
        np.testing.assert_array_equal(kept, np.full(DENSITY, value / 2, np.float32))
    kept[...] = 7.0
    del counter
    assert (kept == 7).all()


def test_the_density_of_one_image_is_a_copy_of_its_own(stream):
    counter = make(heatmap=None, offset=False, keep_density=True, unit=2.0)
    assert make().density_of(0) is None
    density = array(DENSITY)
    values = np.arange(np.prod(DENSITY), dtype=np.float32).reshape(DENSITY)
    stream.upload(density, values)
    counter.enqueue(None, None, density, stream)
    stream.synchronize()
    kept = [counter.density_of(image) for image in range(DENSITY[0])]
    stream.upload(density, np.zeros_like(values))
    counter.enqueue(None, None, density, stream)
    stream.synchronize()
    for found, expected in zip(kept, values, strict=True):
        np.testing.assert_array_equal(found, expected / 2)
        found[...] = 7.0
    for image in (-1, DENSITY[0]):
        with pytest.raises(IndexError, match=f"image: expected a number from 0 to 1, got {image}"):
            counter.density_of(image)
