"""Arrays and streams of other libraries: taken and given without a copy, and in the right order."""

from __future__ import annotations

import ctypes
import gc
import sys

import numpy as np
import pytest
from gpu_maps import EMULATED

from edgecount import _ext

CUDA = 2  # DLPack's number for it
ITEMS = 2**20


class Foreign:
    """An array as libraries without DLPack give it."""

    def __init__(self, owner, **changes):
        self.owner = owner
        self.__cuda_array_interface__ = owner.__cuda_array_interface__ | changes


class Exporter:
    """An array as libraries with DLPack give it; keeps what it was asked for."""

    def __init__(self, array, versions=True):
        self.array = array
        self.versions = versions
        self.asked = []

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **keywords):
        self.asked.append(keywords)
        if not self.versions and "max_version" in keywords:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        return self.array.__dlpack__(**keywords)


def ramp(shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


def free_memory() -> int:
    gc.collect()
    return _ext.device_memory()[0]


@pytest.fixture
def slow_upload():
    """(array, stream): the stream still copies sevens into the array."""
    pinned = _ext.PinnedBuffer(4 * ITEMS).array((ITEMS,), "float32")
    pinned[...] = 7.0
    array = _ext.DeviceBuffer(pinned.nbytes).array(pinned.shape, "float32")
    stream = _ext.Stream()
    for _ in range(4):
        stream.upload(array, pinned)
    yield array, stream
    stream.synchronize()


def first_and_last(array, stream):
    target = np.zeros(array.shape, array.dtype)
    stream.download(array, target)
    stream.synchronize()
    return target[0], target[-1]


# What we give.


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32", "int64", "float64"])
def test_the_cuda_array_interface(to_device, dtype):
    array = to_device(ramp((4, 6), dtype))
    size = np.dtype(dtype).itemsize
    assert array.__cuda_array_interface__ == {
        "version": 3,
        "shape": (4, 6),
        "typestr": np.dtype(dtype).str,
        "data": (array.ptr, False),
        "strides": None,
    }
    view = array[1:, 2:4].__cuda_array_interface__
    assert view["data"] == (array.ptr + 8 * size, False)
    assert (view["shape"], view["strides"]) == ((3, 2), (6 * size, size))
    assert array[:0].__cuda_array_interface__["data"] == (0, False)


def test_dlpack_capsules(to_device):
    array = to_device(ramp((4, 6)))
    assert array.__dlpack_device__() == (CUDA, 0)
    for version in (None, (0, 8)):
        assert '"dltensor"' in repr(array.__dlpack__(stream=-1, max_version=version))
    for version in ((1, 0), (1, 1), (2, 0)):
        assert '"dltensor_versioned"' in repr(array.__dlpack__(stream=1, max_version=version))
    array.__dlpack__(dl_device=(CUDA, 0), copy=False)


@pytest.mark.parametrize("handle", [0, -2])
def test_streams_that_dlpack_does_not_know(to_device, handle):
    with pytest.raises(ValueError, match=f"stream: expected None, -1, 1, 2 or .* got {handle}"):
        to_device(ramp(4)).__dlpack__(stream=handle)


@pytest.mark.parametrize("keywords", [{"copy": True}, {"dl_device": (1, 0)}])
def test_what_a_capsule_cannot_be(to_device, keywords):
    with pytest.raises(BufferError):
        to_device(ramp(4)).__dlpack__(**keywords)


def test_an_unused_capsule_holds_the_memory_until_it_goes():
    before = free_memory()
    for version in (None, (1, 0)):
        capsule = (
            _ext.DeviceBuffer(4 * ITEMS * 16)
            .array((ITEMS,), "float32")
            .__dlpack__(stream=-1, max_version=version)
        )
        assert before - free_memory() >= 4 * ITEMS * 16
        del capsule
        assert before - free_memory() < 4 * ITEMS * 16


def test_a_consumer_s_stream_waits_for_ours(slow_upload):
    array, _ = slow_upload
    consumer = _ext.Stream()
    capsule = array.__dlpack__(stream=consumer.handle)
    assert first_and_last(array, consumer) == (7, 7)
    del capsule


def test_a_capture_is_left_alone(to_device, stream):
    array = to_device(ramp(4))
    consumer = _ext.Stream()
    stream.synchronize()
    stream.begin_capture()
    array.__dlpack__(stream=consumer.handle)
    stream.end_capture()


# What we take.


def test_our_own_array_is_taken_as_it_is(to_device, stream):
    array = to_device(ramp(4))
    assert _ext.device_array(array, stream) is array


def test_work_on_our_own_array_is_waited_for(slow_upload):
    array, _ = slow_upload
    consumer = _ext.Stream()
    assert first_and_last(_ext.device_array(array, consumer), consumer) == (7, 7)


@pytest.mark.skipif(not EMULATED, reason="on a GPU the copy may be done by then")
def test_an_engine_s_work_is_not_waited_for():
    target = _ext.DeviceBuffer(4).array((1,), "float32")
    consumer, engine = _ext.Stream(), _ext.Stream(inner=True)
    pinned = _ext.PinnedBuffer(4).array((1,), "float32")
    for stream, value in ((consumer, 0), (engine, 7)):
        pinned[...] = value
        stream.upload(target, pinned)
        if stream is consumer:
            consumer.synchronize()
    assert first_and_last(_ext.device_array(target, consumer), consumer) == (0, 0)
    engine.synchronize()


@pytest.mark.parametrize("versions", [True, False])
def test_taken_by_dlpack(to_device, to_host, stream, versions):
    array = to_device(ramp((4, 6)))
    exporter = Exporter(array[1:, 2:4], versions)
    taken = _ext.device_array(exporter, stream)
    assert (taken.ptr, taken.shape, taken.strides) == (array[1, 2].ptr, (3, 2), (24, 4))
    assert taken.dtype == "float32"
    np.testing.assert_array_equal(to_host(taken[1]), [14, 15])
    assert [asked["stream"] for asked in exporter.asked] == [stream.handle] * (2 - versions)
    assert exporter.asked[-1].get("max_version") == ((1, 1) if versions else None)


def test_dlpack_is_told_the_default_stream_by_its_number(to_device):
    exporter = Exporter(to_device(ramp(4)))
    _ext.device_array(exporter, _ext.Stream(handle=0))
    assert exporter.asked[0]["stream"] == 1


@pytest.mark.parametrize("dtype", ["float32", "float16", "uint8", "int32", "int64", "float64"])
@pytest.mark.parametrize("shape", [(), (5,), (2, 3, 4), (0, 3)])
def test_taken_by_the_cuda_array_interface(to_device, to_host, stream, dtype, shape):
    source = ramp(shape, dtype)
    foreign = Foreign(to_device(source))
    taken = _ext.device_array(foreign, stream)
    assert (taken.shape, taken.dtype, taken.device) == (shape, dtype, 0)
    np.testing.assert_array_equal(to_host(taken), source)


@pytest.mark.parametrize(
    ("typestr", "dtype"),
    [("<u1", "uint8"), (">u1", "uint8"), ("=u1", "uint8"), ("|u1", "uint8"), ("=f4", "float32")],
)
def test_byte_orders_of_the_cuda_array_interface(to_device, to_host, stream, typestr, dtype):
    source = ramp((2, 3), dtype)
    taken = _ext.device_array(Foreign(to_device(source), typestr=typestr), stream)
    assert taken.dtype == dtype
    np.testing.assert_array_equal(to_host(taken), source)


def test_strides_of_the_cuda_array_interface(to_device, to_host, stream):
    array = to_device(ramp((4, 6)))
    taken = _ext.device_array(Foreign(array[1:, 2:4]), stream)
    assert taken.strides == (24, 4)
    np.testing.assert_array_equal(to_host(taken[2]), [20, 21])
    backwards = Foreign(array, strides=(4, 16), shape=(6, 4))
    assert _ext.device_array(backwards, stream).strides == (4, 16)


def test_what_is_taken_lives_as_long_as_its_view():
    before, size = free_memory(), 64 * 2**20
    stream = _ext.Stream()
    for wrap in (Foreign, Exporter):
        source = wrap(_ext.DeviceBuffer(size).array((size,), "uint8"))
        count = sys.getrefcount(source)
        view = _ext.device_array(source, stream)[5:10]
        assert sys.getrefcount(source) == count + (wrap is Foreign)
        del source
        assert before - free_memory() >= size
        del view
        assert before - free_memory() < size


def test_the_named_stream_is_waited_for(slow_upload):
    array, producer = slow_upload
    for wrapped in (Foreign(array, stream=producer.handle), Exporter(array)):
        consumer = _ext.Stream()
        taken = _ext.device_array(wrapped, consumer)
        assert first_and_last(taken, consumer) == (7, 7)


@pytest.mark.parametrize("named", [None, -1, 0, 1])
def test_the_legacy_default_stream_is_waited_for(named):
    """Libraries write there and name no stream, or none that CUDA has."""
    pinned = _ext.PinnedBuffer(4 * 2**20).array((2**20,), "float32")
    pinned[...] = 7.0
    array, legacy = _ext.DeviceBuffer(pinned.nbytes).array(pinned.shape, "float32"), 1
    _ext.Stream(handle=legacy).upload(array, pinned)
    consumer = _ext.Stream()
    taken = _ext.device_array(Foreign(array, stream=named), consumer)
    assert first_and_last(taken, consumer) == (7, 7)


@pytest.mark.parametrize("named", [None, -1, 0, 1, 2])
def test_default_streams_can_be_named(to_device, to_host, stream, named):
    array = to_device(ramp(4))
    taken = _ext.device_array(Foreign(array, stream=named), stream)
    np.testing.assert_array_equal(to_host(taken), ramp(4))


def test_read_only_arrays_are_read(to_device, to_host, stream):
    array = to_device(ramp(4))
    taken = _ext.device_array(Foreign(array, data=(array.ptr, True)), stream)
    np.testing.assert_array_equal(to_host(taken), ramp(4))
    again = _ext.device_array(Exporter(taken), stream)
    for frozen in (taken, again):
        assert frozen.__cuda_array_interface__["data"] == (array.ptr, True)
        with pytest.raises(ValueError, match="target: expected an array to write to"):
            stream.upload(frozen, ramp(4))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"typestr": "<c8"}, TypeError, "expected dtype float32, .* got <c8"),
        ({"typestr": ">f4"}, TypeError, "got >f4"),
        ({"mask": object()}, ValueError, "without a mask"),
        ({"strides": (4,)}, ValueError, "as many strides as axes"),
        ({"strides": (22, 4)}, ValueError, "in multiples of 4 bytes"),
        ({"strides": (4,)}, ValueError, r"got 1 for shape \(4, 6\)"),
        ({"shape": (4, -1)}, ValueError, r"\['shape'\]: expected sizes of 0 or more"),
        ({"shape": (4, 1.5)}, TypeError, r"\['shape'\]: expected a sequence .* got \(4, 1.5\)"),
        (
            {"shape": None},
            TypeError,
            r"\['shape'\]: expected a sequence of whole numbers, got None",
        ),
        (
            {"strides": ("a", 4)},
            TypeError,
            r"\['strides'\]: expected None or a sequence .* got \('a'",
        ),
        ({"strides": 24}, TypeError, r"\['strides'\]: .* got 24"),
        ({"typestr": None}, TypeError, r"\['typestr'\]: expected a text such as '\|u1', got None"),
        ({"data": None}, TypeError, r"\['data'\]: expected \(address, .*\), got None"),
        ({"data": (256,)}, TypeError, r"\['data'\]: .* got \(256,\)"),
        ({"data": (None, False)}, TypeError, r"\['data'\]: .* got \(None, False\)"),
        ({"data": (-256, False)}, TypeError, r"\['data'\]: .* got \(-256, False\)"),
        ({"stream": -2}, TypeError, r"\['stream'\]: expected None, 1, 2 or .* got -2"),
        ({"stream": "legacy"}, TypeError, r"\['stream'\]: expected None, 1, 2 or .* got 'legacy'"),
    ],
)
def test_interfaces_that_make_no_sense(to_device, stream, changes, error, message):
    foreign = Foreign(to_device(ramp((4, 6))), **changes)
    with pytest.raises(error, match=f"^source: .*{message}"):
        _ext.device_array(foreign, stream)


@pytest.mark.parametrize("key", ["shape", "typestr", "data"])
def test_fields_that_are_missing(to_device, stream, key):
    foreign = Foreign(to_device(ramp((4, 6))))
    del foreign.__cuda_array_interface__[key]
    with pytest.raises(ValueError, match=rf"^source: __cuda.*\['{key}'\]: .*missing"):
        _ext.device_array(foreign, stream)


@pytest.mark.parametrize("interface", [None, [], "x"])
def test_what_is_no_interface(stream, interface):
    foreign = type("Foreign", (), {"__cuda_array_interface__": interface})()
    with pytest.raises(TypeError, match=r"^source: expected __cuda_array_interface__ to be a dict"):
        _ext.device_array(foreign, stream)


@pytest.mark.parametrize("device", [None, (2,), 2])
def test_what_is_no_device_of_dlpack(to_device, stream, device):
    exporter = Exporter(to_device(ramp(4)))
    exporter.__dlpack_device__ = lambda: device
    with pytest.raises(TypeError, match=r"^source: expected __dlpack_device__\(\) to give \(type"):
        _ext.device_array(exporter, stream)


def test_addresses_between_items(to_device, stream):
    array = to_device(ramp(4))
    with pytest.raises(ValueError, match=r"source: .*in multiples of 4 bytes"):
        _ext.device_array(Foreign(array, data=(array.ptr + 2, False)), stream)


def liar(array):
    """Return an object that says that a NumPy array lies on the GPU."""
    interface = array.__array_interface__ | {"data": (array.ctypes.data, False)}
    return type("Liar", (), {"__cuda_array_interface__": interface})()


def test_host_memory_is_not_the_gpu_s(stream):
    plain = np.zeros(4, np.float32)
    pinned = _ext.PinnedBuffer(16).array((4,), "float32")
    for source in (plain, pinned):
        with pytest.raises(ValueError, match=r"source: .*got host memory; upload it, see Stream"):
            _ext.device_array(source, stream)
    with pytest.raises(ValueError, match=r"source: .*got host memory"):
        _ext.device_array(liar(plain), stream)


def test_mapped_host_memory_is_used_where_it_lies(stream):
    frame = _ext.PinnedBuffer(48).array((4, 4, 3), "uint8")
    frame[...] = ramp((4, 4, 3), "uint8")
    settings = 4, 4, 4, 4, (0.0,) * 3, (1.0,) * 3, False, 0.0
    out = _ext.DeviceBuffer(4 * 48).array((3, 4, 4), "float32")
    _ext.Preprocessor(4, 4, *settings).enqueue(_ext.device_array(liar(frame), stream), out, stream)
    found = np.empty((3, 4, 4), np.float32)
    stream.download(out, found)
    stream.synchronize()
    np.testing.assert_array_equal(found, frame.transpose(2, 0, 1))


def test_host_tensors_are_not_the_gpu_s(stream):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    with pytest.raises(ValueError, match=r"source: .*got host memory"):
        _ext.device_array(torch.zeros(4), stream)


@pytest.mark.parametrize("source", [None, "x", [1.0], 3])
def test_what_is_no_array(stream, source):
    with pytest.raises(TypeError, match="source: expected an array on the GPU with __dlpack__"):
        _ext.device_array(source, stream)


def test_memory_of_another_context(driver, stream):
    own, address = ctypes.c_void_p(), ctypes.c_ulonglong()
    assert driver.cuInit(0) == 0
    assert driver.cuCtxCreate_v2(ctypes.byref(own), 0, 0) == 0
    try:
        assert driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(64)) == 0
        interface = ramp(16).__array_interface__ | {"data": (address.value, False), "version": 3}
        foreign = type("Foreign", (), {"__cuda_array_interface__": interface})()
        with pytest.raises(ValueError, match=r"another context; with PyCUDA .*autoprimaryctx"):
            _ext.device_array(foreign, stream)
        assert driver.cuMemFree_v2(address) == 0
    finally:
        assert driver.cuCtxDestroy_v2(own) == 0
