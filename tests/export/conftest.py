"""Small networks run in one thread."""

import pytest


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks this small are slower with more, and much slower beside other work."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
