"""Buffers and arrays: what they do, how long they live, how they fail."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from edgecount import _ext

DTYPES = ["float32", "float16", "uint8", "int32", "int64", "float64"]
# Enough to be seen among what other processes take and what CUDA rounds up to.
LARGE = 64 * 2**20


def free_memory() -> int:
    gc.collect()
    return _ext.device_memory()[0]


def ramp(shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


# Memory.


def test_a_buffer_says_what_it_is():
    buffer = _ext.DeviceBuffer(1000)
    assert buffer.ptr % 256 == 0
    assert (buffer.nbytes, buffer.device) == (1000, 0)


def test_memory_is_given_back_with_the_last_view():
    before = free_memory()
    buffer = _ext.DeviceBuffer(LARGE)
    taken = before - free_memory()
    assert taken >= LARGE
    view = buffer.array((4, LARGE // 16), "float32")[1:3][0]
    del buffer
    assert before - free_memory() == taken
    del view
    assert before - free_memory() < taken


def test_arrays_hold_the_buffer_and_nothing_else():
    buffer = _ext.DeviceBuffer(64)
    count = sys.getrefcount(buffer)
    array = buffer.array((4, 4), "float32")
    views = [array[0], array[1:], array[2, 3]]
    assert sys.getrefcount(buffer) == count + 4
    del array, views
    assert sys.getrefcount(buffer) == count


class Holder:
    """Another library's array that keeps what was made of it."""

    def __init__(self, array):
        self.array = array
        self.__cuda_array_interface__ = array.__cuda_array_interface__


def test_cycles_are_collected(stream):
    before = free_memory()
    holder = Holder(_ext.DeviceBuffer(LARGE).array((LARGE,), "uint8"))
    holder.view = _ext.device_array(holder, stream)
    del holder
    assert before - free_memory() < LARGE


def test_device_memory_is_plausible():
    free, total = _ext.device_memory()
    assert 0 < free <= total


def test_more_memory_than_there_is():
    total = _ext.device_memory()[1]
    with pytest.raises(RuntimeError, match=r"device 0: could not allocate \d+ bytes, as \d+ of"):
        _ext.DeviceBuffer(4 * total)
    _ext.DeviceBuffer(16)  # nothing is left of the error


def test_pinned_memory_is_written_in_place():
    buffer = _ext.PinnedBuffer(96)
    assert buffer.nbytes == 96
    array = buffer.array((3, 4), "int64")
    array[...] = ramp((3, 4))
    again = buffer.array((2, 4), "int64", 32)
    np.testing.assert_array_equal(again, array[1:])
    count = sys.getrefcount(buffer)
    del again
    assert sys.getrefcount(buffer) == count - 1


def test_pinned_memory_stays_until_the_work_that_uses_it_is_done():
    stream, count = _ext.Stream(), 1 << 12
    target = _ext.DeviceBuffer(4 * count).array((count,), "float32")
    source = _ext.PinnedBuffer(4 * count).array((count,), "float32")
    source[...] = expected = np.arange(count, dtype=np.float32)
    stream.upload(target, source)
    del source  # frees the buffer, while the copy may not have begun
    found = np.zeros(count, np.float32)
    stream.download(target, found)
    stream.synchronize()
    np.testing.assert_array_equal(found, expected)


def test_a_stream_that_goes_has_done_its_work():
    stream, count = _ext.Stream(), 1 << 12
    target = _ext.DeviceBuffer(4 * count).array((count,), "float32")
    source = _ext.PinnedBuffer(4 * count).array((count,), "float32")
    source[...] = expected = np.arange(count, dtype=np.float32)
    stream.upload(target, source)
    del stream
    source[...] = 0.0
    found, other = np.zeros(count, np.float32), _ext.Stream()
    other.download(target, found)
    other.synchronize()
    np.testing.assert_array_equal(found, expected)


def test_pinned_memory_is_an_array_of_the_device_as_well():
    buffer = _ext.PinnedBuffer(96)
    host, count = buffer.array((3, 4), "int64"), sys.getrefcount(buffer)
    device = buffer.device_array((2, 4), "int64", 32)
    assert (device.shape, device.dtype, device.device) == ((2, 4), "int64", 0)
    assert device.ptr == host[1:].__array_interface__["data"][0]
    assert sys.getrefcount(buffer) == count + 1


@pytest.mark.parametrize("kind", ["DeviceBuffer", "PinnedBuffer"])
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((4, 5), "float32"), ValueError, "shape: expected an array that fits into 64 bytes"),
        (((4,), "float64", 40), ValueError, "fits into 64 bytes from byte 40 on"),
        (((0,), "uint8", 65), ValueError, "from byte 65 on"),
        (((2**62, 2**62), "uint8"), ValueError, "fits into"),
        (((4,), "float32", 2), ValueError, "offset: expected a multiple of 4, .* float32, got 2"),
        (((4,), "float32", -4), ValueError, "offset: expected 0 or more, got -4"),
        (((-1,), "uint8"), ValueError, r"shape: expected sizes of 0 or more, got \(-1,\)"),
        ((4, "uint8"), TypeError, "shape: expected a sequence of whole numbers, got int"),
        (((4,), "bool"), TypeError, "dtype: expected dtype float32, .* or float64, got bool"),
    ],
)
def test_parts_that_a_buffer_does_not_have(kind, arguments, error, message):
    with pytest.raises(error, match=message):
        getattr(_ext, kind)(64).array(*arguments)


@pytest.mark.parametrize("kind", ["DeviceBuffer", "PinnedBuffer"])
def test_wrong_buffers(kind):
    with pytest.raises(ValueError, match="nbytes: expected 1 or more, got 0"):
        getattr(_ext, kind)(0)
    for device in (-1, 1000):
        with pytest.raises(RuntimeError, match=f"CUDA device {device}: expected a number from 0"):
            getattr(_ext, kind)(16, device)


# Arrays.


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (2, 0, 3), (2, 3, 4, 5)])
def test_there_and_back(to_device, to_host, dtype, shape):
    source = ramp(shape, dtype)
    array = to_device(source, 16)
    assert (array.shape, array.dtype, array.device) == (shape, dtype, 0)
    assert array.nbytes == source.nbytes
    assert array.strides == source.strides or not source.size
    np.testing.assert_array_equal(to_host(array), source)


@pytest.mark.parametrize(
    "key",
    [
        np.s_[1],
        np.s_[-1],
        np.s_[2:4],
        np.s_[:0],
        np.s_[10:],
        np.s_[-3:-1],
        np.s_[0, 1],
        np.s_[3, :, 4],
        np.s_[1:3, 2],
        np.s_[3, 1:2, 2:5],
        np.s_[()],
        np.s_[:, :, :],
        np.int64(2),
    ],
)
def test_views_are_numpy_s(to_device, key):
    source = ramp((4, 3, 6))
    array = to_device(source)
    view, expected = array[key], source[key]
    assert view.shape == expected.shape
    if expected.size:
        start = expected.__array_interface__["data"][0] - source.__array_interface__["data"][0]
        assert view.ptr - array.ptr == start
        assert view.strides == expected.strides
    assert view.nbytes == expected.nbytes


def test_a_view_is_uploaded_to_and_downloaded(to_device, to_host, stream):
    array = to_device(np.zeros((4, 6), np.float32))
    stream.upload(array[1:3], ramp((2, 6)))
    np.testing.assert_array_equal(to_host(array[2, 1:4]), [7, 8, 9])
    np.testing.assert_array_equal(to_host(array[0]), np.zeros(6))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("shape", "key"),
    [
        ((5, 9), np.s_[1:4, 2:7]),
        ((6, 7, 3), np.s_[:5, 1:5]),
        ((4, 9), np.s_[2:3, 1:]),
        ((4, 9), np.s_[:, 3:3]),
        ((2, 3, 4, 5), np.s_[:, 1:]),
    ],
)
@pytest.mark.parametrize("pinned", [False, True])
def test_rows_that_lie_apart_are_downloaded(to_device, stream, shape, key, dtype, pinned):
    values = ramp(shape, dtype)
    target = np.empty(values[key].shape, dtype)
    if pinned:
        target = _ext.PinnedBuffer(max(target.nbytes, 1)).array(target.shape, dtype)
    stream.download(to_device(values)[key], target)
    stream.synchronize()
    np.testing.assert_array_equal(target, values[key])


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (4, IndexError, "index 4 is out of an axis of 4"),
        (-5, IndexError, "index -5 is out of an axis of 4"),
        ((0, 0, 0), IndexError, "at most 2 indices"),
        (slice(None, None, 2), ValueError, "a step of 1, got 2"),
        (slice(None, None, -1), ValueError, "a step of 1, got -1"),
        ("x", TypeError, "expected whole numbers and slices, got str"),
        (None, TypeError, "expected whole numbers and slices, got NoneType"),
        (1.0, TypeError, "expected whole numbers and slices, got float"),
    ],
)
def test_keys_that_are_none(to_device, key, error, message):
    with pytest.raises(error, match=message):
        to_device(ramp((4, 6)))[key]


def test_an_array_says_what_it_is(to_device):
    assert repr(to_device(ramp((4, 6)))) == "DeviceArray(shape=(4, 6), dtype=float32, device=0)"


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (ramp((4, 6), "float64"), TypeError, "expected dtype float32, .* got float64"),
        (ramp((6, 4)), ValueError, r"expected shape \(4, 6\), .* got \(6, 4\)"),
        (ramp((6, 4)).T, ValueError, "expected a C-contiguous array"),
        ("x", TypeError, "expected a .*NumPy array .* got str"),
    ],
)
def test_copies_that_do_not_fit(to_device, stream, source, error, message):
    array = to_device(ramp((4, 6)))
    with pytest.raises(error, match=f"^source: {message}"):
        stream.upload(array, source)
    with pytest.raises(error, match=f"^target: {message}"):
        stream.download(array, source)


def test_copies_need_whole_arrays_on_the_device(to_device, stream):
    array = to_device(ramp((4, 6)))
    part = np.zeros((4, 2), np.float32)
    with pytest.raises(ValueError, match=r"^target: .*C-contiguous .* strides \(24, 4\)"):
        stream.upload(array[:, :2], part)
    planes = to_device(ramp((2, 4, 6)))
    with pytest.raises(ValueError, match=r"^source: .*C-contiguous .* strides \(96, 24, 4\)"):
        stream.download(planes[:, :, :2], np.zeros((2, 4, 2), np.float32))
    with pytest.raises(TypeError, match=r"^target: expected a DeviceArray .* got ndarray"):
        stream.upload(part, part)
    read_only = ramp((4, 6))
    read_only.flags.writeable = False
    with pytest.raises(TypeError, match=r"^target: expected a writable"):
        stream.download(array, read_only)
