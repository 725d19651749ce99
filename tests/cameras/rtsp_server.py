"""An RTSP server of moving test cameras, run by the system's Python, which has GStreamer.

    /usr/bin/python3 rtsp_server.py '{"port": 0, "cameras": {"/cam": {"fps": 10}}}'

It prints {"port": ...} once it listens, and takes one JSON object per line on its standard input,
such as {"camera": "/cam", "size": [320, 240]}, which changes what a running camera sends; each is
answered with {"ok": true}. It ends with its standard input.

Options of a camera: size [640, 480], fps 10, codec "h264" (or "h265", "mjpeg", "h264-10bit"),
interlaced false, sound false, detail false (noise, and a band below that tells the picture's
number), slices 1 and bitrate 3000 (of H.264; kbit/s), key (pictures from one key picture to the
next; two seconds of them), still (file with an I420 picture of that size, to be sent in place of
the moving one), clip (folder with files such as 640x480.i420, whose pictures are played over and
over), same false (it is the same picture again and again), frozen false (the connection lives, but
no picture comes), cut (pictures after which the server closes its connections). Of the server: port
(0: any), user, password.

    apt install gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good \
        gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad
"""

from __future__ import annotations

import functools
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

import time_strip  # noqa: E402

_X264 = (
    "x264enc tune=zerolatency speed-preset=ultrafast threads=1 bitrate={bitrate} key-int-max={key}"
    " interlaced={interlaced} option-string=slices={slices}"
)
_H264_PAY = " ! rtph264pay config-interval=-1"
_ENCODERS = {
    "h264": _X264 + _H264_PAY,
    "h264-10bit": "videoconvert ! video/x-raw,format=I420_10LE ! " + _X264 + " ! video/x-h264,"
    "profile=high-10" + _H264_PAY,
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast key-int-max={key}"
    " option-string=pools=1:frame-threads=1:log-level=0 ! rtph265pay config-interval=-1",
    "mjpeg": "jpegenc quality=90 ! rtpjpegpay",
}
_SOUND = (
    "appsrc name=sound is-live=true format=time do-timestamp=true"
    " caps=audio/x-alaw,rate=8000,channels=1 ! rtppcmapay name=pay1 pt=8 "
)
SOURCE = "appsrc name=source is-live=true format=time do-timestamp=true max-buffers=4 block=true"
_TOP_FIELD_FIRST = 1 << 20 | 1 << 21  # GST_VIDEO_BUFFER_FLAG_INTERLACED, _TFF


@functools.cache
def _noise(length: int, seed: int) -> bytes:
    """Return grey noise, too much of it for one packet of the network."""
    noise = random.Random(seed).randbytes(length)  # noqa: S311 (no secret)
    return noise.translate(bytes(100 + b % 48 for b in range(256)))


@functools.lru_cache(8)
def _frames(path: str) -> bytes:
    return Path(path).read_bytes()


def _played(folder: str, size: tuple[int, int], number: int) -> bytes:
    """Return a picture of a clip, I420."""
    width, height = size
    frames, length = _frames(f"{folder}/{width}x{height}.i420"), width * height * 3 // 2
    begin = number % (len(frames) // length) * length
    return frames[begin : begin + length]


class Camera:
    """One camera's picture and rate, which may change while it is watched."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.size: list[int] = [640, 480]
        self.fps = 10.0
        self.codec = "h264"
        self.interlaced = False
        self.frozen = False
        self.sound = False
        self.detail = False
        self.slices = 1
        self.bitrate = 3000
        self.cut: int | None = None
        self.key: int | None = None
        self.still: str | None = None
        self.clip: str | None = None
        self.same = False
        self._same: tuple[tuple[int, int], bytes] | None = None
        self.change(options)

    def change(self, options: dict[str, Any]) -> None:
        for name, value in options.items():
            if not hasattr(self, name):
                raise ValueError(f"a camera has no option {name}")
            setattr(self, name, value)

    @property
    def launch(self) -> str:
        encoder = _ENCODERS[self.codec].format(
            key=self.key or max(1, round(2 * self.fps)),
            interlaced=str(self.interlaced).lower(),
            slices=self.slices,
            bitrate=self.bitrate,
        )
        sound = _SOUND if self.sound else ""
        return f"( {SOURCE} ! {encoder} name=pay0 pt=96 {sound})"

    def caps(self, size: tuple[int, int]) -> Gst.Caps:
        mode = "interleaved,field-order=top-field-first" if self.interlaced else "progressive"
        width, height = size
        return Gst.Caps.from_string(
            f"video/x-raw,format=I420,width={width},height={height},interlace-mode={mode},"
            f"framerate={round(1000 * self.fps)}/1000"
        )

    def picture(self, number: int, size: tuple[int, int]) -> bytes:
        if not self.same:
            self._same = None
            return self._draw(number, size)
        if self._same is None or self._same[0] != size:
            self._same = size, self._draw(number, size)
        return self._same[1]

    def _draw(self, number: int, size: tuple[int, int]) -> bytes:
        if self.still is not None:
            return Path(self.still).read_bytes()
        if self.clip is not None:
            return _played(self.clip, size, number)
        width, height = size
        top, colours = time_strip.luma_rows(number, width), b"\x80" * (width * height // 2)
        if not self.detail:
            grey = bytes([60 + number % 16]) * (width * height - len(top))
            return top + grey + colours
        bottom = bytes([time_strip.band_luma(number)]) * (width * time_strip.HEIGHT)
        noise = _noise(width * height - len(top) - len(bottom), number % 4)
        return top + noise + bottom + colours


class Feeder(threading.Thread):
    """Push a camera's pictures into one client's pipeline, on time, until it is taken down."""

    def __init__(
        self,
        camera: Camera,
        source: Any,
        sound: Any = None,
        hang_up: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(daemon=True)
        self.stopped = threading.Event()
        self.sent = 0  # pictures
        self._camera = camera
        self._source = source
        self._sound = sound
        self._hang_up = hang_up

    def start_once(self) -> None:
        if self.ident is None and not self.stopped.is_set():
            self.start()

    def run(self) -> None:
        size, due = tuple(self._camera.size), time.monotonic()
        while not self.stopped.is_set():
            due = max(due + 1 / self._camera.fps, time.monotonic() - 1)
            if not self._camera.frozen:
                if size != tuple(self._camera.size):
                    size = tuple(self._camera.size)
                    self._source.set_property("caps", self._camera.caps(size))
                buffer = Gst.Buffer.new_wrapped(self._camera.picture(self.sent, size))
                if self._camera.interlaced:
                    buffer.mini_object.flags |= _TOP_FIELD_FIRST
                if self._source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                    return
                self.sent += 1
            if self.sent == self._camera.cut:
                GLib.idle_add(self._hang_up)
            if self._sound is not None:
                silence = b"\xd5" * round(8000 / self._camera.fps)
                self._sound.emit("push-buffer", Gst.Buffer.new_wrapped(silence))
            self.stopped.wait(max(0.0, due - time.monotonic()))


class Factory(GstRtspServer.RTSPMediaFactory):
    """Make a pipeline for each client."""

    def __init__(self, camera: Camera, server: Any) -> None:
        super().__init__()
        self._camera = camera
        self._server = server
        self.set_shared(False)
        self.connect("media-configure", self._configure)

    def do_create_element(self, _url: Any) -> Any:
        return Gst.parse_launch(self._camera.launch)

    def _hang_up(self) -> None:
        self._server.client_filter(lambda *_: GstRtspServer.RTSPFilterResult.REMOVE)

    def _configure(self, _factory: Any, media: Any) -> None:
        source = media.get_element().get_by_name_recurse_up("source")
        source.set_property("caps", self._camera.caps(tuple(self._camera.size)))
        sound = media.get_element().get_by_name_recurse_up("sound")
        feeder = Feeder(self._camera, source, sound, self._hang_up)
        media.connect("unprepared", lambda _media: feeder.stopped.set())
        source.connect("need-data", lambda *_: feeder.start_once())


def _guard(server: Any, factories: list[Factory], user: str, password: str) -> None:
    """Let in a user with the password alone."""
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    for factory in factories:
        permissions = GstRtspServer.RTSPPermissions()
        permissions.add_permission_for_role("user", "media.factory.access", True)
        permissions.add_permission_for_role("user", "media.factory.construct", True)
        factory.set_permissions(permissions)


def answer(**values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


def obey(cameras: dict[str, Camera], loop: Any) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        cameras[order.pop("camera")].change(order)
        answer(ok=True)
    loop.quit()


def main() -> None:
    options = json.loads(sys.argv[1])
    Gst.init(None)
    loop = GLib.MainLoop()
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.get("port", 0)))
    cameras = {path: Camera(given) for path, given in options["cameras"].items()}
    factories = []
    for path, camera in cameras.items():
        factories.append(Factory(camera, server))
        server.get_mount_points().add_factory(path, factories[-1])
    if "user" in options:
        _guard(server, factories, options["user"], options["password"])
    if not server.attach(None):
        sys.exit("the port is taken")
    answer(port=server.get_bound_port())
    threading.Thread(target=obey, args=(cameras, loop), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
