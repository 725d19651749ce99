"""Sizes on the command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # older releases of click cannot subscript it

Size = tuple[int, int]

_PAIR = re.compile(r"([1-9]\d*)x([1-9]\d*)")


class InputSizes(NamedTuple):
    """What `--input` asks for.

    Attributes:
        fixed: (height, width) of a model of one size; None: it takes several.
        profile: the least, the usual and the largest (height, width) of an engine; None: not said.
    """

    fixed: Size | None
    profile: tuple[Size, Size, Size] | None


class FrameSizeType(_ParamType):
    """Height and width in pixels, as HxW."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """Two whole numbers."""
        found = _PAIR.fullmatch(str(value))
        if not found:
            self.fail(
                f"expected a height and a width in pixels such as 480x640, got {value!r}",
                param,
                ctx,
            )
        return int(found[1]), int(found[2])


class InputSizesType(_ParamType):
    """HxW, or dynamic with three of them."""

    name = "HxW|dynamic:HxW:HxW:HxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> InputSizes:
        """One size, or a range."""
        text = str(value)
        one = FrameSizeType()
        kind, *parts = text.split(":")
        if kind != "dynamic":
            return InputSizes(one.convert(text, param, ctx), None)
        if len(parts) != 3:
            self.fail(
                "expected dynamic:minHxW:optHxW:maxHxW, such as "
                f"dynamic:256x320:480x640:1088x1920, got {text!r}",
                param,
                ctx,
            )
        low, usual, high = (one.convert(part, param, ctx) for part in parts)
        if not all(a <= b <= c for a, b, c in zip(low, usual, high, strict=True)):
            self.fail(f"expected min <= opt <= max in height and width, got {text!r}", param, ctx)
        return InputSizes(None, (low, usual, high))
