"""Videos: whole, cut off, damaged; streams and cameras that are not there."""

from __future__ import annotations

import contextlib
import functools
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from clips import remux
from edgecount.errors import SourceError
from edgecount.runtime.sources.base import Frame
from edgecount.runtime.sources.live import LiveOptions, LiveSource
from edgecount.runtime.sources.open import open_sources
from edgecount.runtime.sources.video import VideoSource

FRAMES, FPS = 30, 10.0


def write_video(path: Path, codec: str, frames: int = FRAMES) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), FPS, (64, 48))
    assert writer.isOpened()
    noise = np.random.default_rng(0)
    for index in range(frames):
        # Noise, so that every frame takes as much of the file; its mean tells the frame.
        shade = index * 6
        writer.write(noise.integers(shade, shade + 60, (48, 64, 3), np.uint8))
    writer.release()
    return path


@pytest.fixture(scope="module")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4", "mp4v")


@pytest.fixture(scope="module")
def avi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / "clip.avi", "MJPG")


def test_a_video(mp4: Path, avi: Path) -> None:
    for path in (mp4, avi):
        [source] = open_sources(path)
        assert (source.length, source.fps, source.is_video) == (FRAMES, FPS, True)
        frames = list(source.frames())
        assert [frame.index for frame in frames] == list(range(FRAMES))
        np.testing.assert_allclose([frame.time for frame in frames], np.arange(FRAMES) / FPS)
        means = [frame.image.mean() for frame in frames]
        np.testing.assert_allclose(means, 30 + 6 * np.arange(FRAMES), atol=6)
        assert {frame.source for frame in frames} == {str(path)}


def test_a_source_can_be_read_again_and_left_early(mp4: Path) -> None:
    source = VideoSource(mp4)
    first = next(iter(source.frames()))
    again = next(iter(source.frames()))
    np.testing.assert_array_equal(first.image, again.image)


def test_frames_do_not_share_memory(mp4: Path) -> None:
    frames = iter(VideoSource(mp4).frames())
    first = next(frames)
    before = first.image.copy()
    next(frames)
    np.testing.assert_array_equal(first.image, before)


def test_a_cut_off_video_gives_its_frames_and_then_an_error(avi: Path, tmp_path: Path) -> None:
    data = avi.read_bytes()
    cut = tmp_path / "cut.avi"
    cut.write_bytes(data[: len(data) // 2])
    got: list[Frame] = []
    with pytest.raises(SourceError, match=rf"cut.avi stops after \d+ of {FRAMES} frames"):
        got.extend(VideoSource(cut).frames())
    assert 0.3 * FRAMES < len(got) < 0.7 * FRAMES


@pytest.mark.parametrize("content", [b"dear diary " * 99, bytes(5000)])
def test_other_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.mp4"
    path.write_bytes(content)
    for ask in (lambda: list(VideoSource(path).frames()), lambda: VideoSource(path).length):
        with pytest.raises(SourceError, match=r"text.mp4 cannot be opened as a video"):
            ask()


def test_an_mp4_without_its_index(mp4: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(mp4.read_bytes()[:3000])
    with pytest.raises(SourceError, match="damaged, cut off, or in a format"):
        list(VideoSource(path).frames())


def test_empty_and_missing(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(SourceError, match=r"empty.mp4 is empty \(0 bytes\)"):
        list(VideoSource(tmp_path / "empty.mp4").frames())
    with pytest.raises(SourceError, match=r"no such file: .*none.mp4"):
        list(VideoSource(tmp_path / "none.mp4").frames())
    with pytest.raises(SourceError, match="is a folder: expected a video file"):
        list(VideoSource(tmp_path).frames())


def test_damaged_videos_write_nothing_to_stderr(avi: Path, mp4: Path, tmp_path: Path) -> None:
    """In a process of its own: FFmpeg's level is set when a process opens its first video."""
    (tmp_path / "a.avi").write_bytes(avi.read_bytes()[:20_000])
    data = mp4.read_bytes()
    (tmp_path / "b.mp4").write_bytes(data[:2000] + bytes(8000) + data[10_000:])
    (tmp_path / "c.mp4").write_bytes(data[:2000])
    code = (
        "import sys, edgecount\n"
        "from edgecount.runtime.sources.open import open_sources\n"
        "for source in open_sources(sys.argv[1]):\n"
        "    try: print(len(list(source.frames())))\n"
        "    except edgecount.SourceError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 3


@pytest.fixture
def server(mp4: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def copyfile(self, source: object, outputfile: object) -> None:
            with contextlib.suppress(OSError):  # the player closed the connection
                super().copyfile(source, outputfile)  # type: ignore[arg-type,misc]

    handler = functools.partial(Quiet, directory=str(mp4.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_stream_over_http(server: str) -> None:
    frames = list(LiveSource(f"{server}/clip.mp4").frames())
    assert len(frames) == FRAMES
    assert frames[0].time == 0
    assert frames[0].source == f"{server}/clip.mp4"


def test_a_body_that_is_cut_short(h264: bytes) -> None:
    """Its length was announced, and the connection breaks off before it."""
    data = remux(h264, "matroska", 0)

    class Cut(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) * 2 // 3])

    got: list[Frame] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cut) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        try:
            source = LiveSource(f"http://127.0.0.1:{running.server_port}/clip.mkv")
            with pytest.raises(SourceError, match=r"stops after \d+ of 25 frames"):
                got.extend(source.frames())
        finally:
            running.shutdown()
            thread.join()
    assert 0 < len(got) < 25


def test_streams_that_are_not_there(server: str) -> None:
    for url in (f"{server}/none.mp4", "rtsp://127.0.0.1:9/door"):
        with pytest.raises(SourceError, match=f"cannot open the stream {url}"):
            list(LiveSource(url, LiveOptions(reconnect=False)).frames())


def test_a_camera_that_is_not_there() -> None:
    with pytest.raises(SourceError, match="cannot open camera 99: is it connected"):
        list(LiveSource(99).frames())


@pytest.mark.parametrize("camera", [-1, True, 0.0, None])
def test_what_is_no_camera(camera: Any) -> None:
    with pytest.raises(SourceError, match="expected a camera's number, 0 or more, or its device"):
        LiveSource(camera)
