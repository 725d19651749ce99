"""Readings and events to give to sinks."""

import shutil
import subprocess

import pytest

from edgecount.runtime.sources.live import SourceHealth, SourceState
from edgecount.watch.readings import Event, LineReading, Reading, RegionReading

START = 1_700_000_000.0


@pytest.fixture
def make_reading():
    def make(at=0.0, **given):
        health = SourceHealth(SourceState.LIVE, frames_in=5, counted=4, dropped=1, age=0.1)
        usual = {
            "camera": "door",
            "time": START + at,
            "count": 12.25,
            "interval": (10.0, 14.5),
            "smooth": 12.0,
            "smooth_interval": (10.0, 14.0),
            "regions": {"hall": RegionReading(2.0, 1.98765, 0.5, "A")},
            "lines": {"entrance": LineReading(3.6, 1.0, START - 60)},
            "picture": "good",
            "night": False,
            "health": health,
        }
        return Reading(**{**usual, **given})

    return make


@pytest.fixture
def make_event():
    def make(change="raised", at=0.0, **given):
        usual = {
            "camera": "door",
            "time": START + at,
            "kind": "alarm",
            "name": "crowded",
            "change": change,
            "count": 51.0,
            "peak": 60.0,
            "detail": "more than 50 people",
            "unit": "people",
        }
        return Event(**{**usual, **given})

    return make


def openssl(folder, *arguments):
    command = ["openssl", *arguments]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def certificates(tmp_path):
    """An authority of our own, and a server's certificate for 127.0.0.1."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: apt install openssl")
    folder = tmp_path / "tls"
    folder.mkdir()
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for name in ("ca", "other"):
        openssl(
            folder, "req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip
    openssl(folder, "req", *curve, "-keyout", "key.pem", "-out", "asked.pem", "-subj", "/CN=x")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl(
        folder, "x509", "-req", "-in", "asked.pem", "-CA", "ca.pem", "-CAkey", "ca.key",
        "-CAcreateserial", "-out", "cert.pem", "-extfile", "names",
    )  # fmt: skip
    return folder
