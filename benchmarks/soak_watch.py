"""Watch cameras while everything around the service fails, and settle the accounts at the end.

    python benchmarks/soak_watch.py [--cameras 3] [--minutes 20] [--seed 1] [--no-kill]
        [--folder soak] [--out soak.json]

It is `edgecount watch` in a process of its own. Real RTSP servers, each behind a proxy, are killed,
halted, and show pictures of another size, in the dark, or always the same one; their packets are
damaged, lost, late, or do not come at all. A real Mosquitto and a receiver of webhooks are killed,
hang, are slow and answer with errors; the disk is full; the config is reloaded, also in vain; after
a third of the time the service is killed and started again. In between a crowd comes and goes in
front of each camera, which raises an alarm and clears it. The seed decides the turns.

At the end it is compared what came where. Prints tables, and exits with 1 if a goal was missed.

    apt install mosquitto gir1.2-gst-rtsp-server-1.0 python3-gi gstreamer1.0-plugins-good \
        gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad

The disk is a tmpfs, which only root may mount; for others it is never full.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "cameras"))

from camera_servers import INSTALL, CameraServer, gstreamer_encoders
from endurance.accounts import Accounts, settle, show
from endurance.disk import SmallDisk
from endurance.faults import CameraFaults, Diary, OtherFaults
from endurance.proxy import Proxy
from endurance.receivers import Broker, Receiver, free_port
from endurance.scenery import write_clips
from endurance.subject import Subject

_DISK_MB = 48
_FPS = 5
_WARM_UP = 20.0  # s before the first fault
_QUIET = 60.0  # s without faults at the end, so that everything can come


def soak(given: argparse.Namespace, folder: Path) -> Accounts:
    """Watch, break things, and return the accounts."""
    clips = write_clips(folder / "clips", seed=7)
    begin = time.time()
    with ExitStack() as stack:
        disk = stack.enter_context(SmallDisk(folder / "disk", _DISK_MB))
        broker = stack.enter_context(Broker(folder))
        receiver = stack.enter_context(Receiver())
        servers, proxies = {}, {}
        for number in range(given.cameras):
            name = f"c{number}"
            options = {"fps": _FPS, "clip": str(clips["empty"])}
            servers[name] = stack.enter_context(CameraServer("rtsp", {"/cam": options}))
            proxy = Proxy(lambda name=name: servers[name].port, number)
            proxies[name] = stack.enter_context(proxy)
        subject = Subject(
            folder,
            disk.folder,
            {name: proxy.port for name, proxy in proxies.items()},
            {"broker": broker.proxy.port, "receiver": receiver.proxy.port, "page": free_port()},
        )
        subject.write_config()
        stack.callback(subject.abandon)
        subject.start()
        diary = Diary(begin + 60 * given.minutes - _QUIET)
        stack.callback(diary.stop.set)
        diary.wait(_WARM_UP)
        kill_at = None if given.no_kill else begin + 20 * given.minutes
        others = OtherFaults(broker, receiver, disk, subject, diary, given.seed, kill_at)
        threads = [
            diary.run(
                CameraFaults(
                    name, servers[name], proxies[name], clips, subject, diary, given.seed
                ).deck
            )
            for name in servers
        ]
        threads.append(diary.run(others.deck))
        for thread in threads:
            thread.join()
        if diary.failures:
            raise diary.failures[0]
        diary.wait(max(begin + 60 * given.minutes - time.time(), _QUIET / 2))
        ended = subject.stop()
        if given.folder:
            shutil.copytree(disk.folder, folder / "written")
        return settle(subject, disk.folder, diary.faults, broker, receiver, ended)


def main() -> int:
    """Run a soak, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--cameras", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-kill", action="store_true", help="do not kill the service")
    parser.add_argument("--folder", type=Path, help="where logs stay; default: nowhere")
    parser.add_argument("--out", type=Path, help="JSON file of the result")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all processes are ended
    if "x264enc" not in gstreamer_encoders():
        raise SystemExit(f"no GStreamer with an RTSP server here: {INSTALL}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        accounts = soak(given, folder.resolve())
    show(accounts)
    if given.out:
        given.out.write_text(json.dumps(dataclasses.asdict(accounts), indent=2) + "\n")
    return int(not all(goal.is_met for goal in accounts.goals))


if __name__ == "__main__":
    sys.exit(main())
