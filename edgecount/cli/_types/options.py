"""Options that several commands share."""

from __future__ import annotations

import dataclasses
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from edgecount._options import (
    MAX_PIXELS,
    MODEL_DEFAULT,
    MOST_THREADS,
    MOST_ZOOM,
    NATIVE_SIZE,
    PRECISIONS,
    check_backend,
)
from edgecount.cli._types.paths import UserPath
from edgecount.models import DEFAULT_MODEL

if TYPE_CHECKING:
    from edgecount.analytics import GroundRectangle, Line
    from edgecount.regions import Region
    from edgecount.train.data.sample import Sample

_Function = TypeVar("_Function", bound=Callable[..., Any])


class ParsedType(click.ParamType, ABC):  # type: ignore[type-arg] # older ones take no type
    """A text that a function of the library reads; its mistakes are usage errors.

    Attributes:
        argument: name that the function's errors begin with, where click names the option.
    """

    argument: ClassVar[str]

    @abstractmethod
    def parse(self, text: str) -> object:
        """Return the value of a text.

        Raises:
            ConfigError: it cannot be read.
        """

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Parse the text; a mistake is a usage error."""
        from edgecount.errors import ConfigError

        try:
            return self.parse(value)
        except ConfigError as error:
            self.fail(str(error).removeprefix(f"{self.argument}: "), param, ctx)


class RegionType(ParsedType):
    """A polygon in source pixels: NAME:x,y;x,y;x,y."""

    name, argument = "NAME:x,y;x,y;x,y", "region"

    def parse(self, text: str) -> Region:
        """Return the region; see `ParsedType`."""
        from edgecount.regions import parse_region

        return parse_region(text)


class LineType(ParsedType):
    """A line with a direction: NAME:x,y;x,y."""

    name, argument = "NAME:x,y;x,y", "line"

    def parse(self, text: str) -> Line:
        """Return the line; see `ParsedType`."""
        from edgecount.analytics import parse_line

        return parse_line(text)


class GroundType(ParsedType):
    """A rectangle on the ground and its sides: x,y;x,y;x,y;x,y=WIDTHxDEPTH."""

    name, argument = "x,y;x,y;x,y;x,y=WIDTHxDEPTH", "ground"

    def parse(self, text: str) -> GroundRectangle:
        """Return the rectangle; see `ParsedType`."""
        from edgecount.analytics import parse_ground

        return parse_ground(text)


class BackendType(ParsedType):
    """The name of a backend."""

    name, argument = "NAME", "backend"

    def parse(self, text: str) -> str:
        """Return the name; see `ParsedType`."""
        check_backend(text)
        return text


class FiniteRange(click.FloatRange):
    """A finite number in a range; click's own lets NaN through, which compares with no bound."""

    expected = "a finite number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"expected {self.expected}, got {value}", param, ctx)
        return number


class SecondsType(FiniteRange):
    """A span of time in seconds, above 0 and finite."""

    expected = "seconds above 0"

    def __init__(self) -> None:
        super().__init__(min=0, min_open=True)


class DeviceType(ParsedType):
    """A GPU, or several that share the work: N or N,N."""

    name, argument = "N[,N]", "device"

    def parse(self, text: str) -> int | tuple[int, ...]:
        """Return the number of the GPU, or those of several; see `ParsedType`."""
        from edgecount.errors import ConfigError

        if not re.fullmatch(r"\d{1,3}(,\d{1,3})*", text, re.ASCII):
            raise ConfigError(
                f"expected the number of a GPU, as 1, or several numbers, as 0,1, got {text!r}"
            )
        numbers = tuple(map(int, text.split(",")))
        if len(set(numbers)) < len(numbers):
            raise ConfigError(f"expected each GPU once, got {text!r}")
        return numbers[0] if len(numbers) == 1 else numbers


class SideType(click.ParamType):  # type: ignore[type-arg] # older releases cannot subscript it
    """A longer side in pixels, `native` for no limit, or `model` for the model's own."""

    name = "N|native|model"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Return the number of pixels, 1 or more, "native" or "model"."""
        if value in (NATIVE_SIZE, MODEL_DEFAULT):
            return str(value)
        try:
            side = int(value)
        except ValueError:
            side = 0
        if side < 1:
            self.fail(
                f"expected a number of pixels, 1 or more, native or model, got {value!r}",
                param,
                ctx,
            )
        return side


def number_option(
    flag: str, text: str, *, default: int | None = None, least: int = 1, most: int | None = None
) -> Callable[[_Function], _Function]:
    """Make an option that takes a whole number from ``least`` to ``most``; text is its help."""
    kind, shown = click.IntRange(least, most), default is not None
    return click.option(
        flag, type=kind, metavar="N", default=default, show_default=shown, help=text
    )


def folder_option(*names: str, **more: Any) -> Callable[[_Function], _Function]:
    """Make an option that takes a folder, which need not exist."""
    return click.option(*names, type=UserPath(file_okay=False), metavar="DIR", **more)


model_option = click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|FILE|DIR",
    help="Bundled model, .onnx file, TensorRT engine, or folder written by edgecount export.",
)
backend_option = click.option(
    "--backend",
    type=BackendType(),
    default="auto",
    show_default=True,
    metavar="NAME",
    help="Inference engine: tensorrt, tensorrt-rtx, onnxruntime-cuda, onnxruntime, openvino, "
    "openvino-gpu, openvino-npu, or auto for the fastest that works on this machine.",
)
device_option = click.option(
    "--device",
    type=DeviceType(),
    metavar="N[,N]",
    help="Number of the GPU to count on, or of several, as 0,1, that share the frames.  [default: "
    "the first, or the CPU]",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    default="auto",
    show_default=True,
    help="Kind of numbers to compute in; auto takes a faster one than float32 where its counts "
    "were proven to stay.",
)
max_side_option = click.option(
    "--max-side",
    type=SideType(),
    default=MODEL_DEFAULT,
    show_default=True,
    metavar="N|native|model",
    help="Shrink images whose longer side has more than N pixels; native keeps the size, model is "
    "the model's own limit. Counts at another size than by that have no likely range.",
)
zoom_option = number_option(
    "--zoom",
    "Enlarge dense regions twofold up to N times and search them for heads again; each takes up to "
    "some ten times as long, and counts have no likely range then.",
    default=0,
    least=0,
    most=MOST_ZOOM,
)
damaged_option = click.option(
    "--accept-damaged",
    is_flag=True,
    help="Take damaged and truncated files as far as they can be decoded, with a warning.",
)
pixels_option = number_option(
    "--max-pixels", "Refuse images of more than N pixels, before decoding.", default=MAX_PIXELS
)
threads_option = number_option(
    "--threads",
    "Number of CPU threads to compute with.  [default: one per core]",
    most=MOST_THREADS,
)
workers_option = number_option(
    "--workers",
    "Count N images of a folder, or frames of a file, at once on the CPU, each with its part of "
    "the threads.  [default: what suits the engine and its memory]",
    most=MOST_THREADS,
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs instead of text."
)


def new_file_option(default: str, text: str) -> Callable[[_Function], _Function]:
    """Make the options `--out` and `--overwrite` of a command that writes one file."""

    def add(function: _Function) -> _Function:
        where = click.option(
            "--out",
            type=UserPath(dir_okay=False),
            default=Path(default),
            show_default=True,
            help=text,
        )
        over = click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
        return where(over(function))

    return add


def reading(samples: list[Sample], accept_damaged: bool, max_pixels: int) -> list[Sample]:
    """Return samples whose images are read as `--accept-damaged` and `--max-pixels` say."""
    return [
        dataclasses.replace(sample, accept_damaged=accept_damaged, max_pixels=max_pixels)
        for sample in samples
    ]


def refuse_existing(out: Path, overwrite: bool) -> None:
    """Check that the file to write is new and can be written.

    Raises:
        OutputError: it exists, and ``overwrite`` is not set; or it cannot be written.
    """
    from edgecount.errors import OutputError

    refuse_unwritable(out, "--out")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists: choose another --out, or add --overwrite")


def refuse_unwritable(path: Path, flag: str) -> None:
    """Check that the file that an option names can be written, before the work that fills it.

    Raises:
        OutputError: it cannot be.
    """
    from edgecount._files import check_writable
    from edgecount.errors import OutputError

    try:
        check_writable(path)
    except OutputError as error:
        raise OutputError(f"{error}: choose another {flag}") from error
