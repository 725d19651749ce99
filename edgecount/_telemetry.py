"""The refusal of reports that libraries send to their makers."""

from __future__ import annotations

import os

# From 1.29 on ONNX Runtime's wheels for Linux report models and machines, under an id that is kept
# on the disk; a cluster that is started by Ray reports its size and what it runs.
_SWITCHES = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}


def refuse_reports() -> None:
    """Have ONNX Runtime and Ray report nothing; call it before onnxruntime is imported.

    Variables of the environment that are set keep their values.
    """
    for name, value in _SWITCHES.items():
        os.environ.setdefault(name, value)
