"""A process that uses another GPU than the first, which it leaves alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgecount import _ext

# In a process of its own, as this one has used the first GPU.
SCRIPT = """
import ctypes
import sys

sys.path.insert(0, sys.argv[1])
import conftest
from edgecount import _ext

driver = conftest.driver.__wrapped__()
buffer = _ext.DeviceBuffer(64, 1)
print(_ext.memory_device(buffer.ptr), _ext.memory_device(buffer.ptr + 63))
for device in range(2):
    flags, active = ctypes.c_uint(), ctypes.c_int()
    driver.cuDevicePrimaryCtxGetState(device, ctypes.byref(flags), ctypes.byref(active))
    print(active.value)
"""


def test_asking_where_memory_lies_opens_no_context_on_another_gpu() -> None:
    if _ext.cuda_device_count() < 2:
        pytest.skip("there is one GPU")
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "1", "0", "1"]
