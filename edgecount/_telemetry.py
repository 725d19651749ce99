"""The refusal of reports that libraries send to their makers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# From 1.29 on ONNX Runtime's wheels for Linux report models and machines, under an id that is kept
# on the disk; a cluster that is started by Ray reports its size and what it runs.
_SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def refuse_reports() -> None:
    """Have ONNX Runtime and Ray report nothing; call it before onnxruntime is imported.

    Variables of the environment that are set keep their values.
    """
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)


@contextmanager
def openvino_unreported() -> Iterator[None]:
    """Import OpenVINO in the block without a report of that.

    It reports unless the user has refused that in a file of the home folder. Without the package
    that sends, a stand-in of OpenVINO's own takes the calls. Of two threads, one may be in here.
    """
    silenced = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if silenced:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # as Python notes "missing"
    try:
        yield
    finally:
        if silenced:
            del sys.modules["openvino_telemetry"]
