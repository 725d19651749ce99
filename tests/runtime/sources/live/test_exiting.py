"""Programs that end while a camera is being opened."""

import ctypes
import socket
import subprocess
import sys
from contextlib import closing

import pytest

# Its exit code is also the seconds for which it goes on without an interpreter, as it does where
# C++ libraries have something to destroy.
PROGRAM = """
import ctypes, sys, threading, edgecount
library = ctypes.CDLL(None)
library.on_exit(ctypes.cast(library.sleep, ctypes.c_void_p), None)
source = edgecount.LiveSource(sys.argv[1])
threading.Thread(target=lambda: next(iter(source.frames()), None), daemon=True).start()
sys.stdin.readline()  # until the camera is asked
print("out")
sys.exit(2)
"""


@pytest.fixture
def silent():
    """A port that takes connections and says nothing."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


@pytest.mark.parametrize("scheme", ["http", "rtsp"])
def test_the_exit_code_is_the_programs(silent, scheme):
    pytest.importorskip("av")
    if not hasattr(ctypes.CDLL(None), "on_exit"):
        pytest.skip("needs glibc")
    url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/cam"
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    connection, _ = silent.accept()
    with closing(connection):
        out, errors = program.communicate("\n", timeout=120)
    assert (program.returncode, out, errors) == (2, "out\n", "")
