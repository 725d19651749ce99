"""Modules that the help of the command loads."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from edgecount.cli import main
try:
    main(["watch", "--help"])
except SystemExit:
    pass
heavy = {"cv2", "numpy", "onnxruntime", "paho", "prometheus_client", "ruamel", "starlette",
         "urllib3", "uvicorn", "edgecount.watch"}
print(heavy & set(sys.modules), file=sys.stderr)
"""


def test_the_help_is_instant() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    assert "--write-config" in done.stdout
