"""Rows of an archive's table: one for each image, whether it was counted or not."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, TypedDict, cast

from edgecount._text import SURROGATES, valid_text
from edgecount.errors import MissingExtraError
from edgecount.runtime.sources.urls import shown_url, without_user

if TYPE_CHECKING:
    import pyarrow as pa

    from edgecount.result import CountResult

__all__ = ["COLUMNS", "Row", "arrow_schema", "make_row", "row_name"]

_LONGEST_ERROR = 1000  # characters: a message may quote what a damaged file holds
_LIKE_AN_ESCAPE = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4})")
_ENCODING = sys.getfilesystemencoding()


class Row(TypedDict):
    """One image in an archive's table. An image that could not be counted has only an error.

    Every value is a plain JSON type, and every row has all the columns.
    """

    source: str  # the image's name, unique in the table; see `row_name`
    count: float | None  # people in the image; None: it was not counted
    low: float | None  # likely range of the count; None where the model gives none
    high: float | None
    density_count: float | None  # sum of the density map; None without one
    peak_count: int | None  # number of heads; None of a model with a density alone
    overflow: bool | None  # whether the list of points was cut off; the counts are whole
    width: int | None  # of the image in pixels, upright
    height: int | None
    regions: dict[str, float] | None  # people in each region by its name; {} without regions
    model: str | None  # the model's name
    backend: str | None  # the engine, such as "onnxruntime"
    precision: str | None  # the numbers that it computed with, such as "float32" or "int8"
    seconds: float | None  # of preprocessing, engine and postprocessing, without reading
    error: str | None  # one line: why the image was not counted; None: it was
    error_type: str | None  # class of the error, such as "SourceError"


COLUMNS: tuple[str, ...] = tuple(Row.__annotations__)


def make_row(name: str, outcome: CountResult | BaseException) -> Row:
    """Return the row of an image.

    Args:
        name: the image's name, which the row holds as `row_name` writes it.
        outcome: its result; or the error that there was in place of one.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row["source"] = row_name(name)
    if isinstance(outcome, BaseException):
        row["error"], row["error_type"] = _one_line(outcome), type(outcome).__name__
        return cast("Row", row)
    low, high = outcome.interval or (None, None)
    width, height = outcome.size
    timings = cast("dict[str, float]", outcome.timings)
    row |= {
        "count": float(outcome.count),
        "low": low,
        "high": high,
        "density_count": outcome.density_count,
        "peak_count": outcome.peak_count,
        "overflow": outcome.overflow,
        "width": width,
        "height": height,
        "regions": {valid_text(name): one.count for name, one in outcome.regions.items()},
        "model": outcome.model,
        "backend": outcome.backend,
        "precision": outcome.precision,
        "seconds": round(sum(timings.values()) / 1000, 6),
    }
    return cast("Row", row)


def row_name(name: str) -> str:
    r"""Return an image's name as its row holds it: UTF-8, and different for different names.

    Bytes of a path that are no UTF-8 become the text ``\xNN``; in such a name, and in one that has
    this very text in it, backslashes are doubled. An address loses the user and password in it.
    All other names stay as they are.
    """
    name = without_user(name)
    if _ENCODING != "utf-8" and not name.isascii():
        # The same name as on machines of another locale.
        name = os.fsencode(name).decode("utf-8", "surrogateescape")
    is_odd = not name.isascii() and SURROGATES.search(name) is not None
    if "\\" in name and (is_odd or _LIKE_AN_ESCAPE.search(name)):
        name = name.replace("\\", "\\\\")
    return valid_text(name) if is_odd else name


def arrow_schema() -> pa.Schema:
    """Return the types of the columns for Arrow and Parquet, which are the same in every table.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingExtraError("pyarrow", "archive", "to write Parquet files") from error
    text, number, whole = pa.string(), pa.float64(), pa.int32()
    types = {
        **dict.fromkeys(("source", "model", "backend", "precision", "error", "error_type"), text),
        **dict.fromkeys(("count", "low", "high", "density_count", "seconds"), number),
        **dict.fromkeys(("peak_count", "width", "height"), whole),
        "overflow": pa.bool_(),
        "regions": pa.map_(text, number),
    }
    fields = (pa.field(name, types[name], nullable=name != "source") for name in COLUMNS)
    return pa.schema(fields)


def _one_line(error: BaseException) -> str:
    """Return an error's message as one line without the secrets that URLs may hold."""
    text = " ".join(valid_text(shown_url(str(error)))[: 4 * _LONGEST_ERROR].split())
    if not text:
        text = "not enough memory" if isinstance(error, MemoryError) else type(error).__name__
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 3] + "..."
