"""Real sockets: MPEG-TS over UDP and TCP, MJPEG and MPEG-TS over HTTP, HLS, files over HTTP."""

from __future__ import annotations

import contextlib
import errno
import functools
import http.server
import itertools
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

import rtmp_server
from clips import encode, picture
from edgecount.errors import SourceError
from edgecount.runtime.sources.live import LiveOptions, LiveSource, SourceState
from fake_clips import wait_for
from streams import INTERVAL, Sink, running, send, served

EVERY = LiveOptions(newest=False, open_timeout=20, first_timeout=20, stall_timeout=20)
NEWEST = LiveOptions(open_timeout=20, first_timeout=20, stall_timeout=20)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def take(source: LiveSource, number: int) -> list[Any]:
    with source.reader() as reader:
        return [reader.take(60) for _ in range(number)]


def assert_steady(frames: list[Any]) -> None:
    """Every picture is there, at its time."""
    first = frames[0].index
    assert [frame.index for frame in frames] == list(range(first, first + len(frames)))
    media = [frame.media_time for frame in frames[1:]]
    for before, after in itertools.pairwise(media):
        assert after - before == pytest.approx(INTERVAL, abs=1e-3)
    assert all(frame.image.shape == (64, 96, 3) for frame in frames)
    assert all(0 <= time.time() - frame.captured < 60 for frame in frames)


def test_mpegts_over_udp() -> None:
    port = free_udp_port()
    with running(lambda until: send(f"udp://127.0.0.1:{port}?pkt_size=1316", until)):
        frames = take(LiveSource(f"udp://127.0.0.1:{port}", EVERY), 12)
    assert_steady(frames)


def test_nothing_comes_over_udp() -> None:
    source = LiveSource(
        f"udp://127.0.0.1:{free_udp_port()}", LiveOptions(reconnect=False, open_timeout=0.3)
    )
    with pytest.raises(SourceError, match=r"cannot open the stream udp:.*: no answer for 0\.3 s"):
        next(source.frames())


def test_mpegts_over_tcp_that_breaks_off_and_comes_back() -> None:
    connections = []

    def handle(connection: socket.socket) -> None:
        connections.append(connection)
        number = 15 if len(connections) == 1 else 2000
        send(Sink(connection.sendall), lambda: False, number=number)

    options = LiveOptions(newest=False, backoff=(0.05, 0.1), open_timeout=20)
    with served(handle) as port:
        source = LiveSource(f"tcp://127.0.0.1:{port}", options)
        frames = take(source, 25)
    assert [frame.index for frame in frames] == list(range(25))
    assert source.health().reconnects == 1
    times = [frame.time for frame in frames]
    assert times == sorted(times)
    assert "ended after" in (source.health().error or "")


def test_a_server_that_falls_silent_is_noticed() -> None:
    silent = threading.Event()

    def handle(connection: socket.socket) -> None:
        send(Sink(connection.sendall), lambda: False, number=15)
        silent.wait(60)

    options = LiveOptions(stall_timeout=0.5, backoff=(0.05, 0.1), open_timeout=20)
    with served(handle) as port:
        source = LiveSource(f"tcp://127.0.0.1:{port}", options)
        with source.reader() as reader:
            reader.take(60)
            wait_for(lambda: source.health().reconnects)
            assert "gave no picture for 0.5 s" in (source.health().error or "")
            silent.set()


def test_rtmp() -> None:
    with served(rtmp_server.play) as port:
        source = LiveSource(f"rtmp://127.0.0.1:{port}/live/door?token=secret", EVERY)
        frames = take(source, 12)
    assert source.name.endswith("/live/door?token=***")
    assert_steady(frames)


BOUNDARY = b"--edge\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\n"


def test_mjpeg_over_http() -> None:
    """At 12 pictures per second: FFmpeg, which takes them for 25, must not tell the time."""

    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(HEADER % b"multipart/x-mixed-replace; boundary=edge")
        for index in range(1000):
            data = bytes(cv2.imencode(".jpg", picture(index))[1])
            connection.sendall(BOUNDARY % len(data) + data + b"\r\n")
            time.sleep(1 / 12)

    with served(handle) as port:
        source = LiveSource(f"http://127.0.0.1:{port}/video", NEWEST)
        frames = take(source, 8)
        health = source.health()
    assert [frame.image.shape for frame in frames] == [(64, 96, 3)] * 8
    assert {frame.media_time for frame in frames} == {None}
    assert health.frames_in == health.counted + health.dropped
    assert frames[-1].time - frames[0].time == pytest.approx(7 / 12, rel=0.9)


def test_mpegts_over_http_without_an_end() -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(HEADER % b"video/mp2t")
        send(Sink(connection.sendall), lambda: False)

    with served(handle) as port:
        frames = take(LiveSource(f"http://127.0.0.1:{port}/live", EVERY), 12)
    assert_steady(frames)


@contextlib.contextmanager
def folder_over_http(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def copyfile(self, source: Any, outputfile: Any) -> None:
            with contextlib.suppress(OSError):
                super().copyfile(source, outputfile)

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_hls_is_shown_at_its_pace(tmp_path: Path) -> None:
    """Pictures come a segment of 0.4 seconds at a time; they are given one by one."""
    kind = {"hls_time": "0.4", "hls_list_size": "5", "hls_flags": "delete_segments"}

    def write(until: Callable[[], bool]) -> None:
        send(str(tmp_path / "a.m3u8"), until, form="hls", options=kind)

    with running(write), folder_over_http(tmp_path) as address:
        wait_for((tmp_path / "a.m3u8").exists)
        source = LiveSource(f"{address}/a.m3u8", NEWEST)
        with source.reader() as reader:
            frames = [reader.take(60) for _ in range(20)]
            assert source.health().state is SourceState.LIVE
    # Of bursts, one picture of ten would be the newest.
    assert frames[-1].index - frames[0].index < 60
    assert frames[-1].media_time - frames[0].media_time >= 19 * INTERVAL - 1e-3


def test_a_file_over_http_is_given_whole(tmp_path: Path) -> None:
    pictures = [picture(index) for index in range(25)]
    for name, form in (("a.mp4", "mp4"), ("a.ts", "mpegts")):
        (tmp_path / name).write_bytes(encode("libx264", form, pictures))
    with folder_over_http(tmp_path) as address:
        for name in ("a.mp4", "a.ts"):
            source = LiveSource(f"{address}/{name}", NEWEST)
            frames = list(source.frames())
            assert [frame.index for frame in frames] == list(range(25))
            assert source.health().state is SourceState.ENDED
            assert {frame.captured for frame in frames} == {None}
            times = [frame.time for frame in frames]
            assert times == pytest.approx([index * INTERVAL for index in range(25)], abs=1e-3)
        with pytest.raises(SourceError, match=r"cannot open .*none.mp4: is the path right"):
            next(LiveSource(f"{address}/none.mp4", NEWEST).frames())


def test_a_finished_playlist_is_given_whole(tmp_path: Path) -> None:
    kind = {"hls_time": "0.2", "hls_playlist_type": "vod"}
    send(str(tmp_path / "a.m3u8"), lambda: False, form="hls", number=20, options=kind)
    with folder_over_http(tmp_path) as address:
        source = LiveSource(f"{address}/a.m3u8", NEWEST)
        assert len(list(source.frames())) == 20
    assert source.health().state is SourceState.ENDED


def test_a_file_over_http_that_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"dear diary" * 100)
    with (
        folder_over_http(tmp_path) as address,
        pytest.raises(SourceError, match="cannot open the stream"),
    ):
        next(LiveSource(f"{address}/a.mp4", NEWEST).frames())


def test_a_text_over_http_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"dear diary\n" * 100)
    with (
        folder_over_http(tmp_path) as address,
        pytest.raises(SourceError, match=r"a\.txt cannot be opened as a video: it is a text"),
    ):
        next(LiveSource(f"{address}/a.txt", NEWEST).frames())


def test_a_wrong_password_is_told_as_that() -> None:
    def refuse(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")

    with served(refuse) as port:
        source = LiveSource(f"http://user:secret@127.0.0.1:{port}/cam", NEWEST)
        with pytest.raises(SourceError, match="are user and password right") as error:
            next(source.frames())
    assert "secret" not in str(error.value)


def test_a_host_without_an_address_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise av.error.FFmpegError(errno.EIO, "Input/output error")

    def look_up(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(av, "open", fail)
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    source = LiveSource("rtsp://user:secret@door.invalid/cam", LiveOptions(reconnect=False))
    with pytest.raises(SourceError, match=r"\(door\.invalid: Name or service not known\)$"):
        next(source.frames())


def test_damage_of_a_file_over_http(tmp_path: Path, caplog) -> None:
    data = bytearray(encode("libx264", "mpegts", [picture(i) for i in range(60)]))
    for number in range(60, 65):
        data[188 * number + 150 : 188 * number + 170] = bytes(range(60, 80))
    (tmp_path / "a.ts").write_bytes(data)
    with folder_over_http(tmp_path) as address:
        source = LiveSource(f"{address}/a.ts", NEWEST)
        with pytest.raises(SourceError, match=r"is damaged: \d+ of 60 frames"):
            list(source.frames())
        with caplog.at_level(logging.WARNING):
            assert list(LiveSource(f"{address}/a.ts", NEWEST, accept_damaged=True).frames())
        assert "is damaged" in caplog.text


def test_opencv_without_pyav(tmp_path: Path, monkeypatch, caplog) -> None:
    pictures = [picture(index) for index in range(25)]
    (tmp_path / "a.mp4").write_bytes(encode("libx264", "mp4", pictures))
    monkeypatch.setitem(sys.modules, "av", None)
    for name in ("pyav", "convert", "live.stream"):
        monkeypatch.delitem(sys.modules, f"edgecount.runtime.sources.{name}", raising=False)
    with caplog.at_level(logging.WARNING), folder_over_http(tmp_path) as address:
        frames = list(LiveSource(f"{address}/a.mp4", NEWEST).frames())
        assert len(frames) == 25
        with pytest.raises(SourceError, match="cannot open the stream"):
            next(LiveSource(f"{address}/b.mp4", LiveOptions(reconnect=False)).frames())
    assert "decoded by OpenCV, which tells neither damaged frames nor delays" in caplog.text


def test_what_is_not_there_yet_is_waited_for(caplog) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    source = LiveSource(f"http://127.0.0.1:{port}/a.mp4", LiveOptions(backoff=(0.02, 0.05)))
    with source.reader(), caplog.at_level(logging.WARNING):
        wait_for(lambda: source.health().reconnects >= 3)
        assert "Connection refused" in (source.health().error or "")
    assert len([record for record in caplog.records if "refused" in record.message]) == 1


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("srt://127.0.0.1:9000", "FFmpeg has no srt://"),
        ("csi://0", "this OpenCV has no GStreamer"),
        ("videotestsrc ! user-pw=secret", "this OpenCV has no GStreamer"),
    ],
)
def test_what_this_machine_has_not(address: str, message: str) -> None:
    if "GStreamer" in message and cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    if address.startswith("srt") and "srt" in getattr(av, "protocols_available", ()):
        pytest.skip("this FFmpeg has SRT")
    with pytest.raises(SourceError) as error:
        next(LiveSource(address).frames())
    assert message in str(error.value)
    assert "secret" not in str(error.value)
