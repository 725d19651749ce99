"""Draw the README's picture: a rendered crowd, counted by the bundled model.

.venv/bin/python scripts/readme_picture.py
"""

from pathlib import Path

import cv2

from edgecount import EdgeCounter, Region
from edgecount.drawing import draw_overlay
from edgecount.scenes import render_scene

TARGET = Path(__file__).resolve().parent.parent / "docs" / "images" / "overlay.jpg"
PEOPLE, SEED = 140, 11
REGION = Region("crossing", [(560, 330), (900, 330), (1000, 740), (420, 740)])


def main() -> None:
    """Render, count, draw, write."""
    scene = render_scene(PEOPLE, seed=SEED)
    with EdgeCounter(regions=[REGION]) as counter:
        result = counter.count(scene.image)
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    overlay = draw_overlay(scene.image, result, regions=[REGION])
    cv2.imwrite(str(TARGET), overlay, [cv2.IMWRITE_JPEG_QUALITY, 88])
    print(f"{TARGET}: counted {result.count:.1f}, truth {len(scene.points)}")


if __name__ == "__main__":
    main()
