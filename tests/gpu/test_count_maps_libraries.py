"""Maps that another library made are counted where they lie, after that library's work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gpu_maps import EMULATED, ROLES, assert_same, graph_case, make_counter
from numpy.typing import NDArray

from edgecount import _ext

pytestmark = pytest.mark.gpu


@pytest.mark.skipif(EMULATED, reason="there is no other library to share memory with")
@pytest.mark.parametrize("library", ["torch", "cupy", "numba", "pycuda"])
def test_maps_of_other_libraries(library: str) -> None:
    rng = np.random.default_rng(10)
    case = graph_case(rng)
    case.maps["offset"] = rng.random((2, 2, 20, 28)).astype(np.float16)
    stream, counter = _ext.Stream(), make_counter(case)
    for _ in range(3):
        case.maps.update(graph_case(rng).maps)
        theirs = {role: in_library(library, case.maps[role]) for role in ROLES}
        maps = [_ext.device_array(theirs[role], stream) for role in ROLES]
        counter.enqueue(*maps, stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu(), library)


def in_library(library: str, values: NDArray[Any]) -> Any:
    """Return an array of another library with work for it still in that library's queue."""
    module = pytest.importorskip(library, exc_type=ImportError)
    if library == "torch":
        if not module.cuda.is_available():
            pytest.skip("this torch has no CUDA")
        return module.from_numpy(values).cuda(non_blocking=True)
    if library == "cupy":
        return module.asarray(values)
    if library == "numba":
        return pytest.importorskip("numba.cuda", exc_type=ImportError).to_device(values)
    pytest.importorskip("pycuda.autoprimaryctx", exc_type=ImportError)
    return pytest.importorskip("pycuda.gpuarray", exc_type=ImportError).to_gpu(values)


@pytest.mark.skipif(EMULATED, reason="there is no other library to wait for")
def test_maps_that_another_stream_is_still_writing() -> None:
    torch = pytest.importorskip("torch", exc_type=ImportError)
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    case = graph_case(np.random.default_rng(11))
    stream, counter = _ext.Stream(), make_counter(case)
    load = torch.rand(4096, 4096, device="cuda")
    right = {role: torch.from_numpy(case.maps[role]).cuda() for role in ("heatmap", "density")}
    side = torch.cuda.Stream()
    for _ in range(5):
        late = {role: torch.full_like(values, torch.nan) for role, values in right.items()}
        torch.cuda.synchronize()
        with torch.cuda.stream(side):
            for _ in range(4):
                load = (load @ load).clamp_(0, 1)
            for role, values in right.items():
                late[role].copy_(values)
            maps = {role: _ext.device_array(values, stream) for role, values in late.items()}
        counter.enqueue(maps["heatmap"], None, maps["density"], stream)
        stream.synchronize()
        assert_same(counter.read(stream), case.on_cpu())
