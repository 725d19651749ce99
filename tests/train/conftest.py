"""A set of two small pictures in ShanghaiTech's layout."""

import numpy as np
import pytest


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
