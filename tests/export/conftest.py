"""Small networks run in one thread, and one of them as a file."""

import onnx
import pytest
from graphs import small_model


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks this small are slower with more, and much slower beside other work."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture
def model(tmp_path):
    """Return the path of a small network's file, as text."""
    path = tmp_path / "small.onnx"
    onnx.save(small_model(), path)
    return str(path)
