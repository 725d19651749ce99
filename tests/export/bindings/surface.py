"""Tell what a TensorRT module has: run in a process of its own, with names as JSON on its input."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from edgecount.errors import EdgeCountError
from edgecount.export.tensorrt.build import EngineOptions, build_engine
from edgecount.export.tensorrt.callbacks import Interrupt, make_monitor
from edgecount.runtime.backends.tensorrt.library import load_tensorrt, probe_features
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog


def main() -> None:
    target = sys.argv[1]
    names = json.load(sys.stdin)
    trt = load_tensorrt(target)
    features = probe_features(trt)
    owners = {name.partition(".")[0] for name in names}
    answer = {
        "version": trt.__version__,
        "features": vars(features),
        "docs": {name: documentation(trt, name) for name in names},
        "public": sorted({name for owner in owners for name in dir(getattr(trt, owner, None))}),
        "logged": logged(trt),
        "watched": watched(trt) if features.progress_monitor else None,
        "builder": error_of(lambda: trt.Builder(TensorRTLog(trt).logger)),
        "build": error_of(lambda: build(target)),
    }
    print(json.dumps(answer))  # noqa: T201


def documentation(trt: Any, name: str) -> str | None:
    """The docstring of "Class.attribute", None if there is no such thing."""
    thing = trt
    for part in name.split("."):
        if not hasattr(thing, part):
            return None
        thing = getattr(thing, part)
    return thing.__doc__ or ""


def logged(trt: Any) -> list[str]:
    """Return the messages that our logger keeps of one of each severity."""
    heard, other = TensorRTLog(trt), TensorRTLog(trt)
    for name, severity in trt.ILogger.Severity.__members__.items():
        other.logger.log(severity, name)
    return heard.problems


def watched(trt: Any) -> list[Any]:
    """Return the reports and answers of our monitor, before and after Ctrl-C."""
    told: list[Any] = []
    interrupt = Interrupt()
    monitor = make_monitor(trt, lambda *step: told.append(step), interrupt)
    monitor.phase_start("Building", "", 2)
    told.append(monitor.step_complete("Building", 0))
    interrupt.requested = True
    told.append(monitor.step_complete("Building", 1))
    monitor.phase_finish("Building")
    return told


def build(target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.onnx"
        source.write_bytes(b"")
        build_engine(source, Path(folder) / "model.engine", EngineOptions(target))


def error_of(function: Any) -> str:
    try:
        function()
    except (EdgeCountError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    main()
