"""Compute capabilities that a build can be made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["offered_capabilities", "with_point"]


def offered_capabilities(trt: ModuleType) -> dict[str, Any]:
    """Compute capabilities that a module builds for ahead of time, such as "8.9", and its names."""
    members = trt.ComputeCapability.__members__
    return {
        with_point(name.removeprefix("SM")): member
        for name, member in members.items()
        if name.startswith("SM")
    }


def with_point(capability: str) -> str:
    """A compute capability such as "89", "sm_89" or "8.9" as "8.9"."""
    digits = capability.lower().removeprefix("sm").removeprefix("_")
    return digits if "." in digits else f"{digits[:-1]}.{digits[-1:]}"
