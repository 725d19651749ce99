"""GIF and APNG files of one picture and of several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgecount.runtime.frames.stills.animation import is_still


def write(path: Path, number: int, **options: Any) -> Path:
    rng = np.random.default_rng(0)
    pictures = [Image.fromarray(rng.integers(0, 255, (30, 40, 3), np.uint8)) for _ in range(number)]
    more = {"save_all": True, "append_images": pictures[1:]} if number > 1 else {}
    pictures[0].save(path, **more, **options)
    return path


@pytest.mark.parametrize("name", ["a.gif", "A.GIF", "a.apng"])
def test_one_picture_is_a_still_and_several_are_none(tmp_path: Path, name: str) -> None:
    assert is_still(str(write(tmp_path / name, 1)))
    assert not is_still(str(write(tmp_path / name, 3)))


def test_an_apng_of_one_picture_may_say_so(tmp_path: Path) -> None:
    path = write(tmp_path / "a.apng", 1, save_all=True, default_image=False)
    assert is_still(str(path))


def test_content_of_another_format_is_one_picture(tmp_path: Path) -> None:
    assert is_still(str(write(tmp_path / "a.gif", 1, format="JPEG")))


def test_what_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert not is_still(str(tmp_path / "missing.gif"))
    for name, content in (("a.gif", b""), ("b.gif", b"GIF89a"), ("c.apng", b"\x89PNG\r\n\x1a\n")):
        (tmp_path / name).write_bytes(content)
        assert not is_still(str(tmp_path / name))
    cut = write(tmp_path / "d.gif", 3)
    cut.write_bytes(cut.read_bytes()[:-100])
    assert not is_still(str(cut))


def test_other_names_are_not_looked_into(tmp_path: Path) -> None:
    assert not is_still(str(write(tmp_path / "a.png", 1)))
