"""The result of a check."""

from __future__ import annotations

from typing import Literal, NamedTuple

Status = Literal["ok", "warn", "fail"]


class Check(NamedTuple):
    """The result of one check.

    Attributes:
        name: subject of the check.
        status: "ok"; "warn": something is missing that counting does without; "fail": counting
            does not work.
        found: what is there, on one line.
        advice: how to mend a warning or failure, or how to get more; a line per way.
    """

    name: str
    status: Status
    found: str
    advice: str = ""
