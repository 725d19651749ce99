"""Files, folders, globs, URLs and cameras as sources."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgecount.errors import SourceError
from edgecount.runtime.sources.image import ImageSource
from edgecount.runtime.sources.live import LiveSource
from edgecount.runtime.sources.open import VIDEO_SUFFIXES, open_sources
from edgecount.runtime.sources.video import VideoSource


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("img10.png", "img2.PNG", "img1.png", ".hidden.png", "notes.txt"):
        data = cv2.imencode(".png", np.full((4, 6, 3), len(name), np.uint8))[1]
        (tmp_path / name).write_bytes(bytes(data))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "img3.png").write_bytes(b"not an image")
    return tmp_path


def names(spec: Any) -> list[str]:
    return [Path(source.name).name for source in open_sources(spec)]


def test_a_file(folder: Path) -> None:
    [source] = open_sources(folder / "img1.png")
    assert isinstance(source, ImageSource)
    assert (source.length, source.is_video, source.fps) == (1, False, None)
    [frame] = source.frames()
    assert frame.image.shape == (4, 6, 3)
    assert (frame.source, frame.index, frame.time) == (str(folder / "img1.png"), 0, 0.0)


def test_a_folder_in_natural_order(folder: Path) -> None:
    assert names(folder) == names(str(folder)) == ["img1.png", "img2.PNG", "img10.png"]


def test_globs(folder: Path) -> None:
    assert names(f"{folder}/*.png") == ["img1.png", "img10.png"]
    assert names(f"{folder}/img?.*") == ["img1.png", "img2.PNG"]
    assert names(f"{folder}/**/img3.png") == ["img3.png"]


def test_a_file_with_a_pattern_in_its_name(folder: Path) -> None:
    (folder / "img1.png").rename(folder / "img[1].png")
    assert names(f"{folder}/img[1].png") == ["img[1].png"]


def test_several(folder: Path) -> None:
    assert names([folder / "img2.PNG", f"{folder}/img1*"]) == ["img2.PNG", "img1.png", "img10.png"]


def test_a_bad_file_fails_when_it_is_read(folder: Path) -> None:
    (folder / "img5.png").write_bytes(b"dear diary")
    good, bad, *others = open_sources(f"{folder}/img[15].png")
    assert others == []
    assert len(list(good.frames())) == 1
    with pytest.raises(SourceError, match=r"img5.png is not an image"):
        list(bad.frames())


def test_content_decides_about_an_unknown_name(folder: Path) -> None:
    (folder / "img1.png").rename(folder / "img1.dat")
    [source] = open_sources(folder / "img1.dat")
    assert len(list(source.frames())) == 1
    (folder / "notes.txt").write_text("dear diary")
    with pytest.raises(
        SourceError, match=r"notes.txt is not an image.*edgecount reads images \(jpg"
    ):
        list(open_sources(folder / "notes.txt")[0].frames())


def test_videos_streams_and_cameras() -> None:
    for spec in (0, "rtsp://camera/1", "HTTPS://host/a.mp4", "udp://@:5000", "csi://0", "a ! b"):
        [source] = open_sources(spec)
        assert isinstance(source, LiveSource)
        assert (source.is_video, source.length, source.fps) == (True, None, None)
    assert [source.name for source in open_sources([3, "rtsp://camera/1"])] == [
        "camera 3",
        "rtsp://camera/1",
    ]


def test_a_video_file_is_not_opened_before_its_time(tmp_path: Path) -> None:
    (tmp_path / "clip.MP4").write_bytes(b"")
    [source] = open_sources(tmp_path)
    assert isinstance(source, VideoSource)


def test_a_gif_of_one_picture_is_an_image(tmp_path: Path) -> None:
    from PIL import Image

    one = Image.new("RGB", (6, 4), "white")
    one.save(tmp_path / "one.gif")
    one.save(tmp_path / "several.gif", save_all=True, append_images=[Image.new("RGB", (6, 4))])
    image, video = open_sources(tmp_path)
    assert isinstance(image, ImageSource)
    assert [frame.image.shape for frame in image.frames()] == [(4, 6, 3)]
    assert isinstance(video, VideoSource)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file: .*none.jpg"):
        open_sources(tmp_path / "none.jpg")
    with pytest.raises(SourceError, match=r"no file matches .*jpg"):
        open_sources(f"{tmp_path}/*.jpg")
    with pytest.raises(SourceError, match=r"the folder .* holds nothing to count: edgecount reads"):
        open_sources(tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(SourceError, match=r"what matches .* holds nothing to count"):
        open_sources(f"{tmp_path}/*.txt")


def test_a_dangling_link_fails_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "gone.png")
    with pytest.raises(SourceError, match="no such file"):
        list(open_sources(tmp_path)[0].frames())


def test_what_is_no_source() -> None:
    for spec in (None, 1.5, True, b"ab", {0}):
        with pytest.raises(SourceError, match="expected a path, a URL or a camera's number, got"):
            open_sources(spec)  # type: ignore[arg-type]


def test_an_image_is_no_source_and_is_told_by_its_type() -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    for spec in (image, [image]):
        with pytest.raises(SourceError, match=r"got a ndarray: images are for count\(\)$"):
            open_sources(spec)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [-1, np.int64(-3), 2**31])
def test_numbers_that_no_camera_has(number: Any) -> None:
    expected = f"expected a camera's number, 0 or more, or its device, got {number}"
    with pytest.raises(SourceError) as error:
        open_sources(number)
    assert str(error.value) == expected
    with pytest.raises(SourceError):
        open_sources(["rtsp://camera/1", number])


def test_numbers_of_numpy_are_numbers() -> None:
    assert [source.name for source in open_sources(np.int64(3))] == ["camera 3"]  # type: ignore[arg-type]


def test_what_a_folder_leaves_out_is_told_once(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.txt", "b.TXT", "c.pdf", "d", "e.1", "f.2", "g.3", "h.4"):
        (folder / name).touch()
    assert len(names(folder)) == 3
    [record] = caplog.records
    assert record.getMessage() == (
        f"the folder {folder}: left out: 9 files of other kinds "
        "(.txt 3, .pdf 1, no suffix 1, .1 1, .2 1, others 2)"
    )
    caplog.clear()
    assert len(names(f"{folder}/*.png")) == 2
    assert not caplog.records


def test_overlays_that_edgecount_wrote_are_left_out(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    written = ["img1.overlay.png", "photo.overlay.jpg", "clip.overlay.mp4"]
    for name in written:
        (folder / name).write_bytes((folder / "img1.png").read_bytes())
    (folder / "OVERLAY.JPG").write_bytes(b"")
    own = ["img1.png", "img2.PNG", "img10.png", "OVERLAY.JPG"]
    assert names(folder) == own
    assert names(f"{folder}/*") == own
    assert caplog.messages == [
        f"{where}: left out: 3 overlays of edgecount, 1 file of another kind (.txt 1)"
        for where in (f"the folder {folder}", f"what matches {folder}/*")
    ]
    # What is named is counted.
    assert names([folder / name for name in written]) == written
    assert names(f"{folder}/*.overlay.*") == sorted(written)


def test_a_folder_of_overlays_alone(tmp_path: Path) -> None:
    (tmp_path / "a.overlay.jpg").touch()
    with pytest.raises(
        SourceError, match=r"nothing to count: .*; left out: 1 overlay of edgecount$"
    ):
        open_sources(tmp_path)


def test_pipes_and_sockets_in_a_folder_block_nothing(folder: Path) -> None:
    import os
    import socket

    os.mkfifo(folder / "img3.png")
    os.mkfifo(folder / "img4.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "img5.avi"))
        sources = {Path(source.name).name: source for source in open_sources(folder)}
        for name, kind in (("img3.png", "pipe"), ("img4.mp4", "pipe"), ("img5.avi", "socket")):
            with pytest.raises(SourceError, match=rf"{name} is a {kind}: expected"):
                list(sources[name].frames())
    assert len(sources) == 6


def test_the_documentation_lists_the_suffixes_of_videos() -> None:
    text = Path(__file__).parents[3].joinpath("docs", "video.md").read_text(encoding="utf-8")
    assert ", ".join(suffix[1:] for suffix in VIDEO_SUFFIXES) in text


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(SourceError, match="not a regular file, and neither a folder nor a camera"):
        open_sources(tmp_path / "pipe.png")


def test_a_folder_without_permission(open_folder: Path) -> None:
    """In another process and as another user, since root may read everything."""
    locked = open_folder / "locked"
    locked.mkdir(mode=0)
    code = (
        "import os, sys, edgecount\n"
        "import edgecount.runtime.sources.opencv, edgecount.runtime.sources.video\n"
        "from edgecount.runtime.sources.open import open_sources\n"
        "os.getuid() or os.setuid(65534)\n"
        "try: open_sources(sys.argv[1])\n"
        "except edgecount.SourceError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(locked)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"no permission to read the folder {locked}"


def test_an_empty_text_is_not_the_current_folder():
    with pytest.raises(SourceError, match="empty text"):
        open_sources("")


def test_a_loop_of_links_gives_each_file_once(folder: Path) -> None:
    (folder / "self").symlink_to(folder)
    found = [source.name for source in open_sources(f"{folder}/**")]
    own = [f"{folder}/{name}" for name in ("img1.png", "img2.PNG", "img10.png")]
    assert found == [*own, f"{folder}/sub/img3.png"]


def test_loops_that_lead_up_from_everywhere_end(folder: Path, monkeypatch) -> None:
    (folder / "self").symlink_to(folder)
    (folder / "sub" / "up").symlink_to("..")
    (folder / "sub" / "self").symlink_to(".")
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "img4.png").write_bytes(b"")
    own = ["img1.png", "img2.PNG", "img10.png", "sub/img3.png"]
    assert [s.name for s in open_sources(f"{folder}/**")] == [f"{folder}/{name}" for name in own]
    monkeypatch.chdir(folder)
    assert [source.name for source in open_sources("**")] == own
    assert [source.name for source in open_sources("**/*3.png")] == ["sub/img3.png"]
    monkeypatch.chdir(folder.parent)
    found = [source.name for source in open_sources(f"{folder.name[:-1]}?/**/img3.png")]
    assert found == [f"{folder.name}/sub/img3.png"]
    with pytest.raises(SourceError, match="no file matches"):
        open_sources("nowhere/**/*.png")
