"""Finding TensorRT's modules, and what is said when they are not there."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from edgecount.errors import BackendError, MissingExtraError
from edgecount.runtime.backends.tensorrt.library import library_name, load_tensorrt, probe_features

RTX = importlib.util.find_spec("tensorrt_rtx_bindings")
needs_rtx = pytest.mark.skipif(RTX is None, reason="tensorrt_rtx_bindings is not installed")
CLASSIC = importlib.util.find_spec("tensorrt")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a module of a text on the path; it is forgotten afterwards."""

    def put(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, name, raising=False)
        importlib.invalidate_caches()

    before = set(sys.modules)
    yield put
    for name in set(sys.modules) - before:
        if name.startswith("tensorrt"):
            del sys.modules[name]


@needs_rtx
def test_rtx_is_found_under_either_name(install):
    assert load_tensorrt("tensorrt-rtx").__name__ in ("tensorrt_rtx", "tensorrt_rtx_bindings")
    install("tensorrt_rtx", "from tensorrt_rtx_bindings import *\n__version__ = 'meta'")
    assert load_tensorrt("tensorrt-rtx").__version__ == "meta"


@needs_rtx
def test_features_of_rtx():
    features = probe_features(load_tensorrt("tensorrt-rtx"))
    assert features.strongly_typed
    assert features.typed_graphs
    assert features.progress_monitor
    assert features.compute_capabilities
    assert not features.precision_flags
    assert not features.explicit_batch
    assert not features.measures


@needs_rtx
def test_the_library_is_called_by_its_name_and_version():
    trt = load_tensorrt("tensorrt-rtx")
    assert library_name(trt, "tensorrt-rtx") == f"TensorRT for RTX {trt.__version__}"


@pytest.mark.skipif(CLASSIC is not None, reason="tensorrt is installed")
def test_missing_tensorrt_names_the_package_of_jetpack():
    with pytest.raises(
        BackendError, match=r"python3-libnvinfer .*--system-site-packages"
    ) as raised:
        load_tensorrt("tensorrt")
    assert "pip install tensorrt" in str(raised.value)


def test_missing_rtx_names_the_extra(monkeypatch):
    for name in ("tensorrt_rtx", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "edgecount\[rtx\]"'):
        load_tensorrt("tensorrt-rtx")


@pytest.mark.parametrize(
    "text",
    [
        "raise ImportError('libnvinfer.so.10: cannot open shared object file')",
        "raise OSError('libnvinfer.so.10: cannot open shared object file')",
        "import libnvinfer_of_nobody",
    ],
)
def test_a_broken_installation_is_not_a_missing_one(install, text):
    install("tensorrt", text)
    with pytest.raises(
        BackendError, match=r"tensorrt is installed and does not load \(.*libnvinfer"
    ):
        load_tensorrt("tensorrt")
