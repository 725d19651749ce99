"""Sizes on the command line."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import click

Size = tuple[int, int]

_PAIR = re.compile(r"([1-9]\d*)x([1-9]\d*)")


class InputSizes(NamedTuple):
    """The image sizes that `--input` asks for, in pixels.

    Attributes:
        fixed: (height, width) of a model of one size; None if it takes several.
        profile: min, opt and max (height, width) of an engine; None if they were not given.
    """

    fixed: Size | None
    profile: tuple[Size, Size, Size] | None


class FrameSizeType(click.ParamType):  # type: ignore[type-arg] # older releases cannot subscript it
    """Height and width in pixels, as HxW."""

    name = "HxW"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Size:
        """Return (height, width)."""
        found = _PAIR.fullmatch(str(value))
        if not found:
            self.fail(
                f"expected a height and a width in pixels such as 480x640, got {value!r}",
                param,
                ctx,
            )
        return int(found[1]), int(found[2])


class InputSizesType(click.ParamType):  # type: ignore[type-arg] # older releases cannot subscript it
    """One size as HxW, or a range as dynamic:HxW:HxW:HxW."""

    name = "HxW|dynamic:HxW:HxW:HxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> InputSizes:
        """Return the fixed size or the profile; a mistake is a usage error."""
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
        smallest, opt, largest = (one.convert(part, param, ctx) for part in parts)
        if not all(a <= b <= c for a, b, c in zip(smallest, opt, largest, strict=True)):
            self.fail(f"expected min <= opt <= max in height and width, got {text!r}", param, ctx)
        return InputSizes(None, (smallest, opt, largest))
