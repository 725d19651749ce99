"""The checks of `edgecount doctor`, a file per subject: machine, engines, video, counting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail"]


class Check(NamedTuple):
    """What one check found.

    Attributes:
        name: what was looked at.
        status: "ok"; "warn": something is missing that counting does without; "fail": counting
            does not work.
        found: what is there, on one line.
        advice: what to do about a warning or failure.
    """

    name: str
    status: Status
    found: str
    advice: str = ""


def run_checks(model: str) -> list[Check]:
    """All checks, in the order in which they are shown.

    A check that breaks is a failed check: this command is for machines on which things break.
    """
    from edgecount.cli._doctor import counting, engines, machine, video

    checks: list[tuple[str, Callable[[], Check]]] = [
        ("python", machine.python),
        ("system", machine.system),
        ("cpu", machine.cpu),
        ("board", machine.board),
        ("edgecount", machine.package),
        ("gpu", engines.gpu),
        ("onnxruntime", engines.onnxruntime),
        ("tensorrt", engines.tensorrt),
        ("opencv", video.opencv),
        ("counting", lambda: counting.counting(model)),
    ]
    return [_run(name, check) for name, check in checks]


def _run(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except Exception as error:  # noqa: BLE001 (whatever breaks, the other checks must run)
        return Check(name, "fail", f"{type(error).__name__}: {error}", "see the message")
