"""Clusters of Ray on this machine; all tests here but those of a missing Ray need it."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

HERE = Path(__file__).parent
WITHOUT_RAY = "test_missing.py"
MISSING = importlib.util.find_spec("ray") is None
STORE = 80 << 20  # bytes of a node's object store: near the least that Ray takes
SIDE = 64  # pixels
SQUARE = 8  # pixels: a person of the tiny model


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents or item.path.name == WITHOUT_RAY:
            continue
        # Ray sets options of its own that it calls deprecated.
        item.add_marker(
            pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning:ray.data.context")
        )
        if MISSING:
            item.add_marker(pytest.mark.skip('Ray is not installed: pip install "edgecount[ray]"'))


@pytest.fixture(scope="session")
def settings() -> Iterator[dict[str, Any]]:
    """Return the options of a node: no dashboard. No reports, and a folder that is deleted.

    Not the option `temp_dir`: a node then still writes its address into the default folder, and
    fails where that does not exist.
    """
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a socket's path must be short
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "disabled")  # it would write into the home folder
        yield {"include_dashboard": False, "object_store_memory": STORE}
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def make_cluster(settings: dict[str, Any]) -> Callable[[list[int]], Any]:
    """Return a context of a cluster whose nodes have so many CPUs, which this process has joined.

    A process is part of one cluster at a time.
    """

    @contextmanager
    def make(cpus: list[int]) -> Iterator[Any]:
        import ray
        import ray.data
        from ray.cluster_utils import Cluster

        first, *others = cpus
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": first, **settings})
        try:
            for number in others:
                cluster.add_node(num_cpus=number, **settings)
            ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
            context = ray.data.DataContext.get_current()
            context.enable_progress_bars = False
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()

    return make


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 40 images with as many people of the tiny model as their names say."""
    folder = tmp_path_factory.mktemp("crowd")
    (folder / "inner").mkdir()
    for number in range(40):
        picture = np.zeros((SIDE, SIDE, 3), np.uint8)
        for person in range(number):
            y, x = (SQUARE * place for place in divmod(person, SIDE // SQUARE))
            picture[y : y + SQUARE, x : x + SQUARE] = 255
        name = f"inner/{number}.png" if number % 4 == 0 else f"{number}.png"
        assert cv2.imwrite(str(folder / name), picture)
    return folder
