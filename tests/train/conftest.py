"""A set of two small pictures in ShanghaiTech's layout, and a run of a few steps on it."""

import os
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("EDGECOUNT_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Networks this small are slower with more, and much slower beside other work."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data_folder():
    """Real annotated crowds; tests that use them are skipped where there are none."""
    if not DATA.is_dir():
        pytest.skip("no real data: set EDGECOUNT_DATA")
    return DATA


@pytest.fixture
def shanghaitech(tmp_path):
    """Its folder; IMG_1 has 5 people, IMG_2 has 30."""
    cv2 = pytest.importorskip("cv2")
    io = pytest.importorskip("scipy.io")
    root = tmp_path / "part_X"
    (root / "images").mkdir(parents=True)
    (root / "ground_truth").mkdir()
    rng = np.random.default_rng(0)
    for number, people in ((1, 5), (2, 30)):
        image = rng.integers(90, 130, (96, 128, 3), dtype=np.uint8)
        points = rng.uniform(8, 88, (people, 2))
        for x, y in points:
            cv2.circle(image, (int(x), int(y)), 3, (20, 20, 30), -1)
        cv2.imwrite(str(root / "images" / f"IMG_{number}.jpg"), image)
        info = np.empty((1, 1), object)
        info[0, 0] = np.array(
            [[(points, np.array([[people]]))]], dtype=[("location", object), ("number", object)]
        )
        io.savemat(root / "ground_truth" / f"GT_IMG_{number}.mat", {"image_info": info})
    return root


@pytest.fixture
def settings(shanghaitech):
    return {
        "model": {"name": "edgecount-n", "width": 0.25, "channels": 16, "fine_channels": 8},
        "data_root": str(shanghaitech.parent),
        "data": [
            {"reader": "shanghaitech", "path": "part_X"},
            {"reader": "blank", "weight": 0.3},
        ],
        "crop": 64,
        "batch_size": 2,
        "steps": 6,
        "warmup": 2,
        "evaluate_every": 6,
        "log_every": 2,
        "tensorboard": False,
    }


@pytest.fixture
def config(settings):
    from edgecount.train.config import config_from_dict

    return config_from_dict(settings)
