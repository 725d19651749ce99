"""Arrays of torch, CuPy, Numba and PyCUDA themselves, where there is a GPU for them."""

from __future__ import annotations

import numpy as np
import pytest

from edgecount import _ext


def ramp(shape, dtype="float32"):
    return np.arange(np.prod(shape), dtype=dtype).reshape(shape)


@pytest.fixture
def torch(real_gpu):
    torch = pytest.importorskip("torch", exc_type=ImportError)
    if not torch.cuda.is_available():
        pytest.skip("this torch is built without CUDA")
    return torch


@pytest.fixture
def cupy(real_gpu):
    return pytest.importorskip("cupy", exc_type=ImportError)


def test_torch_both_ways(torch, to_device, to_host, stream):
    tensor = torch.arange(24, dtype=torch.float32, device="cuda").reshape(4, 6) * 2
    taken = _ext.device_array(tensor, stream)
    assert taken.ptr == tensor.data_ptr()
    np.testing.assert_array_equal(to_host(taken), ramp((4, 6)) * 2)
    array = to_device(ramp((4, 6)))
    for given in (torch.from_dlpack(array), torch.as_tensor(array, device="cuda")):
        stream.synchronize()
        assert given.data_ptr() == array.ptr
        np.testing.assert_array_equal(given.cpu().numpy(), ramp((4, 6)))
    theirs = torch.cuda.Stream()
    assert _ext.Stream(handle=theirs.cuda_stream).idle


def test_cupy_both_ways(cupy, to_device, to_host, stream):
    source = cupy.arange(24, dtype=cupy.float32).reshape(4, 6) * 2
    np.testing.assert_array_equal(to_host(_ext.device_array(source, stream)), ramp((4, 6)) * 2)
    array = to_device(ramp((4, 6)))
    for given in (cupy.from_dlpack(array), cupy.asarray(array)):
        stream.synchronize()
        assert given.data.ptr == array.ptr
        np.testing.assert_array_equal(cupy.asnumpy(given), ramp((4, 6)))
    with cupy.cuda.ExternalStream(stream.handle):
        doubled = cupy.asarray(array) * 2
    np.testing.assert_array_equal(to_host(_ext.device_array(doubled, stream)), ramp((4, 6)) * 2)


def test_numba_both_ways(real_gpu, to_device, to_host, stream):
    cuda = pytest.importorskip("numba.cuda", exc_type=ImportError)
    source = cuda.to_device(ramp((4, 6)))
    np.testing.assert_array_equal(to_host(_ext.device_array(source, stream)), ramp((4, 6)))
    array = to_device(ramp((4, 6)))
    stream.synchronize()
    np.testing.assert_array_equal(cuda.as_cuda_array(array).copy_to_host(), ramp((4, 6)))


def test_pycuda_in_the_primary_context(real_gpu, to_host, stream):
    pytest.importorskip("pycuda.autoprimaryctx", exc_type=ImportError)
    gpuarray = pytest.importorskip("pycuda.gpuarray", exc_type=ImportError)
    source = gpuarray.to_gpu(ramp((4, 6)))
    np.testing.assert_array_equal(to_host(_ext.device_array(source, stream)), ramp((4, 6)))
