"""A test camera that writes its pictures to a device of v4l2loopback; see `rtsp_server.py`.

    /usr/bin/python3 v4l2_writer.py '{"port": 0, "device": "/dev/video9", "cameras": {"/cam": {}}}'

It takes orders as the servers do. The device's size stays what it was at first.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import rtsp_server
from rtsp_server import Camera, Feeder, GLib, Gst

_SINK = "videoconvert ! video/x-raw,format=YUY2 ! {sink}"


def start(camera: Camera, device: str) -> Any:
    """Start to write to a device, until some pictures are there; an empty name: to nowhere."""
    sink = f"v4l2sink device={device}" if device else "fakesink sync=true"
    pipeline = Gst.parse_launch(f"{rtsp_server.SOURCE} ! {_SINK.format(sink=sink)}")
    source = pipeline.get_by_name("source")
    source.set_property("caps", camera.caps(tuple(camera.size)))
    feeder = Feeder(camera, source)
    source.connect("need-data", lambda *_: feeder.start_once())
    pipeline.set_state(Gst.State.PLAYING)
    deadline = time.monotonic() + 30
    while feeder.sent < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    return pipeline


def main() -> None:
    options = json.loads(sys.argv[1])
    Gst.init(None)
    loop = GLib.MainLoop()
    cameras = {path: Camera(given) for path, given in options["cameras"].items()}
    pipelines = [start(camera, options["device"]) for camera in cameras.values()]
    rtsp_server.answer(port=0)
    threading.Thread(target=rtsp_server.obey, args=(cameras, loop), daemon=True).start()
    loop.run()
    for pipeline in pipelines:
        pipeline.set_state(Gst.State.NULL)


if __name__ == "__main__":
    main()
