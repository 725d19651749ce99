"""Pictures that leave the service: heads cannot be recognised, where that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import simplejpeg
from numpy.typing import NDArray
from watching import Kept, config, section, until

from edgecount import EdgeCounter
from edgecount.fake import FakeCamera, Show
from edgecount.fake.pictures import HEAD_COLOUR
from edgecount.watch.config import (
    AlarmConfig,
    ClipsConfig,
    CsvConfig,
    KeepConfig,
    SinksConfig,
)
from edgecount.watch.service import Service

Image = NDArray[np.uint8]


def decoded(data: bytes | None) -> Image:
    assert data is not None
    return simplejpeg.decode_jpeg(data, colorspace="BGR")


def head_pixels(image: Image) -> int:
    """Return how many pixels have the colour of a head."""
    return int((np.abs(image.astype(int) - HEAD_COLOUR).max(axis=2) < 50).sum())


def outlets(service: Service, kept: Kept, folder: Path) -> dict[str, Callable[[], list[Image]]]:
    """Return what gives pictures to others."""
    door = service.cameras["door"]
    looking = service.subscribe()

    def told() -> list[Image]:
        return [one.image for one in looking.get(10) if getattr(one, "image", None) is not None]

    def clips() -> list[Image]:
        found = []
        for path in (folder / "clips").glob("*.mp4"):
            with av.open(str(path)) as clip:
                found += [one.to_ndarray(format="bgr24") for one in clip.decode(video=0)]
        return found

    return {
        "page": lambda: [decoded(door.jpeg(width=1280))],
        "page, small": lambda: [decoded(door.jpeg(width=400))],
        "page, drawn over": lambda: [decoded(door.jpeg(("count", "regions")))],
        "picture": lambda: [door.picture().image()],
        "sinks": lambda: [one.image for one in kept.readings[:20]],
        "subscription": told,
        "clips": clips,
    }


def look(counter: EdgeCounter, folder: Path, *, pixelate: bool) -> dict[str, int]:
    """Return the most pixels of heads in a picture of each outlet."""
    door = FakeCamera([Show(600, people=6)], name="door", fps=10)
    alarms = {"full": AlarmConfig(5, enter=0, cooldown=0)}
    watched = config(
        {"door": section(alarms=alarms, pixelate=pixelate)},
        keep=KeepConfig(folder / "kept"),
        sinks=SinksConfig(clips=ClipsConfig(folder / "clips", before=1, after=0.5)),
    )
    with Service(watched, counter=counter, sources={"door": door}) as service:
        kept = Kept(images=True)
        service._outlets.use([*service._parts.all, kept])
        until(lambda: list((folder / "clips").glob("*.mp4")) and kept.readings)
        found = {
            name: [head_pixels(one) for one in images()]
            for name, images in outlets(service, kept, folder).items()
        }
        original = head_pixels(service.cameras["door"].picture().original)
        name = service.keep("door")  # for labelling: as it is
        found["kept"] = [head_pixels(decoded((folder / "kept" / name).read_bytes()))]
    assert not any(one.image is not None for one in service._outlets.subscribe().get(0))
    return {"original": original} | {name: max(one, default=0) for name, one in found.items()}


def test_no_outlet_shows_a_head(counter: EdgeCounter, tmp_path: Path):
    shown = look(counter, tmp_path, pixelate=True)
    original, kept = shown.pop("original"), shown.pop("kept")
    assert original > 200
    assert kept > 0.5 * original  # by design: see docs
    assert shown.pop("subscription") == 0
    assert all(one < 0.1 * original for one in shown.values()), (shown, original)


def test_sinks_whose_sections_stay_go_on(
    counter: EdgeCounter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("edgecount.watch.sinks.base._PICTURES", 4096)
    door = FakeCamera([Show(600, people=6)], name="door", fps=10)
    alarms = {"full": AlarmConfig(5, enter=0, cooldown=0)}
    clips = ClipsConfig(tmp_path / "clips", before=1, after=2)
    sinks = SinksConfig(csv=CsvConfig(tmp_path / "a.csv", every=0), clips=clips)
    watched = config({"door": section(alarms=alarms)}, sinks=sinks)
    with Service(watched, counter=counter, sources={"door": door}) as service:
        until(
            lambda: (tmp_path / "a.csv").exists() and "raised" in (tmp_path / "a.csv").read_text()
        )
        before = service._parts.all
        # The clip of the alarm goes on over it.
        service.reload(replace(watched, sinks=replace(sinks, csv=CsvConfig(tmp_path / "b.csv"))))
        after = service._parts.all
        assert [one.name for one in after] == ["csv", "clips"]
        assert [one in before for one in after] == [False, True]
        until(lambda: list((tmp_path / "clips").glob("*.mp4")))
        (path,) = (tmp_path / "clips").glob("*.mp4")
        with av.open(str(path)) as clip:
            times = [float(one.time) for one in clip.decode(video=0)]
        assert times[-1] > 1.5
        gone = replace(watched, sinks=SinksConfig(csv=CsvConfig(tmp_path / "b.csv")))
        service.reload(gone)
        assert service._parts.all == [after[0]]


def test_heads_are_shown_where_that_is_asked_for(counter: EdgeCounter, tmp_path: Path):
    shown = look(counter, tmp_path, pixelate=False)
    original = shown.pop("original")
    assert shown.pop("subscription") == 0  # it has no pictures
    assert shown.pop("page, small") > 0.1 * original
    assert shown.pop("clips") > 0.005 * original  # there heat and points hide most of them
    assert all(one > 0.3 * original for one in shown.values()), (shown, original)
