"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgecount.regions import Region

    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # older releases of click cannot subscript it

_Function = TypeVar("_Function", bound=Callable[..., Any])

DEFAULT_MODEL = "edgecount-s"

model_option = click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|FILE",
    help="A bundled model, an .onnx file, an engine, or a folder of  edgecount export .",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


class RegionType(_ParamType):
    """NAME:x,y;x,y;x,y in source pixels."""

    name = "NAME:x,y;x,y;x,y"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Region:
        """Parse the text; a mistake is a usage error."""
        from edgecount.errors import ConfigError
        from edgecount.regions import parse_region

        try:
            return parse_region(value)
        except ConfigError as error:
            self.fail(str(error).removeprefix("region: "), param, ctx)


class SideType(_ParamType):
    """A longer side in pixels, or `native` for no limit."""

    name = "N|native"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """An integer of 1 or more, or the word."""
        if value == "native":
            return "native"
        try:
            side = int(value)
        except ValueError:
            side = 0
        if side < 1:
            self.fail(
                f"expected a number of pixels, 1 or more, or native, got {value!r}", param, ctx
            )
        return side
