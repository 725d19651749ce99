"""Files of an archive's table: Parquet, or JSON lines."""

from __future__ import annotations

import importlib.util
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from edgecount._files import replacing
from edgecount.archive.rows import COLUMNS, Row, arrow_schema
from edgecount.errors import OutputError

# Of the folder of a table: readers take all files there, but not those in what begins with a dot.
PRIVATE = ".edgecount"


class Table(ABC):
    """A format of the files.

    Attributes:
        suffix: of the files' names.
    """

    suffix: str

    @abstractmethod
    def write(self, path: Path, rows: Sequence[Row]) -> None:
        """Write a file, which is there under its name when it is whole, and not before.

        Raises:
            OutputError: it cannot be written.
        """

    def read(self, path: Path) -> list[Row]:
        """Return the rows of a file.

        Raises:
            OutputError: it cannot be read.
        """
        return cast("list[Row]", self._columns(path, COLUMNS))

    def outcomes(self, path: Path) -> list[tuple[str, bool]]:
        """Return the names in a file, and whether each was counted; see `read`."""
        return [(row["source"], row["error"] is None) for row in self._columns(path, _OUTCOME)]

    def _columns(self, path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
        try:
            return self._load(path, columns)
        except (OSError, ValueError, KeyError) as error:  # of pyarrow, too
            reason = " ".join(str(error).split())
            raise OutputError(
                f"cannot read {path}: {reason}; delete it, and its images are counted again"
            ) from error

    @abstractmethod
    def _load(self, path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
        """Return some columns of a file; what goes wrong is an OSError, ValueError or KeyError."""


_OUTCOME = ("source", "error")


class ParquetTable(Table):
    """Parquet files, all with the schema of `arrow_schema`.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """

    suffix = ".parquet"

    def __init__(self) -> None:
        self._schema = arrow_schema()

    def write(self, path: Path, rows: Sequence[Row]) -> None:
        """Write a file; see `Table.write`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist(rows, schema=self._schema)
        with replacing(path, folder=path.parent / PRIVATE) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def _load(self, path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        # Not read_table, for which a name with `=` in its folder is one more column.
        with pq.ParquetFile(path) as file:
            rows: list[dict[str, Any]] = file.read(columns=list(columns)).to_pylist()
        for row in rows:
            if row.get("regions") is not None:
                row["regions"] = dict(row["regions"])
        return rows


class JsonTable(Table):
    """Files of a JSON object a line."""

    suffix = ".jsonl"

    def write(self, path: Path, rows: Sequence[Row]) -> None:
        """Write a file; see `Table.write`."""
        with (
            replacing(path, folder=path.parent / PRIVATE) as temporary,
            temporary.open("wb") as file,
        ):
            file.writelines(map(json_line, rows))

    def _load(self, path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
        with path.open("rb") as file:
            rows = map(json.loads, file)
            return [{name: row[name] for name in columns} for row in rows]


def json_line(row: Row) -> bytes:
    """Return a row as a line of JSON."""
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def whole_rows(lines: Iterable[bytes]) -> tuple[list[Row], int]:
    """Return the rows of lines up to the first that is not whole, and the bytes that they take."""
    rows: list[Row] = []
    size = 0
    for line in lines:
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:  # a power cut may leave anything
            row = None
        if not isinstance(row, dict) or tuple(row) != COLUMNS:
            break
        rows.append(cast("Row", row))
        size += len(line)
    return rows, size


def open_table(name: str) -> Table:
    """Return a format by its name, one of `edgecount.archive.FORMATS`.

    Raises:
        MissingExtraError: it is Parquet, and pyarrow is not installed.
    """
    return ParquetTable() if name == "parquet" else JsonTable()


def default_format() -> str:
    """Return the name of the best format for which everything is installed."""
    return "parquet" if importlib.util.find_spec("pyarrow") else "jsonl"
