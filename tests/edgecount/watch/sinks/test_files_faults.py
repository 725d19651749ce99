"""JSON lines while the disk is full, and what a kill leaves."""

import json
import os
import resource
import signal
import subprocess
import sys

import pytest

from edgecount.watch.sinks import base
from edgecount.watch.sinks.base import SinkThread
from edgecount.watch.sinks.jsonl import JsonLines
from edgecount.watch.sinks.rotating import RotatingFile


@pytest.fixture
def disk(monkeypatch):
    """A limit of files' size, which the kernel holds writes to as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_and_heals(tmp_path, make_event, disk, until, monkeypatch):
    monkeypatch.setattr(base, "_FIRST", 0.01)
    monkeypatch.setattr(base, "_LONGEST", 0.05)
    path = tmp_path / "counts.jsonl"
    before = b'{"type":"event"}\n' * 20_000
    path.write_bytes(before)
    thread = SinkThread(JsonLines(path))
    first, second = make_event(), make_event("cleared")
    thread.put(first)
    until(lambda: thread.health().delivered == 1)
    full = path.stat().st_size
    disk(full + 50)  # the next line fits by a part
    thread.put(second)
    until(lambda: "File too large" in (thread.health().error or ""))
    assert path.stat().st_size <= full + 50
    disk(resource.RLIM_INFINITY)
    until(lambda: thread.health().delivered == 2)
    assert thread.health().error is None
    thread.close()
    assert thread.health().dropped == 0
    lines = path.read_bytes()[len(before) :].splitlines()
    assert [json.loads(line)["id"] for line in lines] == [first.id, second.id]


KILLED = """
import sys
from edgecount.watch.sinks.rotating import RotatingFile
file = RotatingFile(sys.argv[1], 20_000, 50)
file.open()
print("open", flush=True)
for number in range(1_000_000):
    file.write(b"%d " % number + b"x" * 500 + b"\\n")
"""


def test_a_kill_leaves_whole_lines(tmp_path):
    path = tmp_path / "a.txt"
    command = [sys.executable, "-c", KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        while not (tmp_path / "a.3.txt").exists():
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
    file = RotatingFile(path, 20_000, 50)
    file.open()
    file.close()
    found = []
    for one in tmp_path.iterdir():
        lines = one.read_bytes().splitlines(keepends=True)
        assert all(line.endswith(b"x" * 500 + b"\n") for line in lines)
        found += [int(line.split()[0]) for line in lines]
    assert sorted(found)[-20:] == list(range(max(found) - 19, max(found) + 1))
