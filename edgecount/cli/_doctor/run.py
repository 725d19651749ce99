"""All checks, in the order in which they are shown."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from edgecount.cli._doctor import (
    backends,
    counting,
    engines,
    jetson,
    machine,
    memory,
    openvino,
    tensorrt,
    toolkit,
    video,
)
from edgecount.cli._doctor.check import Check


def run_checks(model: str, root: Path = Path("/")) -> list[Check]:
    """Run the checks that are of use on this machine.

    A check that breaks is a failed check: this command is for machines on which things break.
    """
    board = jetson.is_jetson(root)
    gpu = board or engines.has_gpu()
    # Both take seconds to load.
    modules = functools.cache(tensorrt.find_modules)
    runtime = functools.cache(engines.try_onnxruntime)
    checks: list[tuple[str, bool, Callable[[], Check]]] = [
        ("python", True, machine.python),
        ("system", True, machine.system),
        ("cpu", True, machine.cpu),
        ("board", True, lambda: jetson.board(root)),
        ("power", board, lambda: jetson.power(root)),
        ("memory", True, lambda: memory.memory(root)),
        ("edgecount", True, lambda: engines.package(root)),
        ("gpu", True, lambda: engines.gpu(root)),
        ("cuda", gpu, lambda: toolkit.cuda(root)),
        ("onnxruntime", True, lambda: engines.onnxruntime(runtime())),
        ("openvino", True, openvino.openvino),
        ("tensorrt", True, lambda: tensorrt.tensorrt(root, modules())),
        ("backends", gpu, lambda: backends.backends(root, modules(), runtime())),
        ("opencv", True, lambda: video.opencv(root)),
        ("pyav", True, video.pyav),
        ("counting", True, lambda: counting.counting(model, crash=runtime().crashes)),
    ]
    return [_run(name, check) for name, wanted, check in checks if wanted]


def _run(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 (whatever breaks, the other checks must run)
        return Check(name, "fail", f"{type(error).__name__}: {error}", "see the message")
