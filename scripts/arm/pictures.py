"""Render scenes to count: an empty one, a few people, a crowd.

    python scripts/arm/pictures.py FOLDER

Small, as an emulator takes minutes for large ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from edgecount.scenes import render_scene

SCENES = ((0, (640, 480)), (8, (320, 240)), (40, (320, 240)), (120, (640, 480)))


def main() -> None:
    """Render."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for seed, (people, size) in enumerate(SCENES):
        scene = render_scene(people, size=size, seed=seed)
        path = folder / f"{people:03}-people-{size[0]}x{size[1]}.png"
        cv2.imwrite(str(path), scene.image)


if __name__ == "__main__":
    main()
