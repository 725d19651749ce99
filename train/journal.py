"""The log of a run: JSON lines, TensorBoard where it is installed, and a callback of the caller."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgecount._files import write_whole
from edgecount.errors import OutputError
from edgecount.train.config import TrainConfig

OnRecord = Callable[[dict[str, Any]], None]


class Journal:
    """The log of one run.

    Args:
        folder: folder of ``log.jsonl`` and ``tensorboard/``.
        config: config of the run.
        report: called with each record.
        active: False writes nothing (all processes but the first).
        step: the step that the run resumes from; later records of an earlier stop are dropped.
    """

    def __init__(
        self,
        folder: Path,
        config: TrainConfig,
        report: OnRecord | None,
        *,
        active: bool,
        step: int = 0,
    ) -> None:
        self.path = folder / "log.jsonl"
        if active and self.path.exists():
            self._cut(step)
        self._report = report if active else None
        self._board = _open_board(folder) if active and config.tensorboard else None
        self._active = active
        self._started = time.perf_counter()

    def close(self) -> None:
        """Close TensorBoard's file; the lines are on the disk already."""
        if self._board is not None:
            self._board.close()

    def _cut(self, step: int) -> None:
        """Drop records that will be written again, and a line that was cut short."""
        kept = []
        for line in self.path.read_text().splitlines():
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                continue
            if record["step"] <= step:
                kept.append(line + "\n")
        write_whole(self.path, "".join(kept).encode())

    def start(self) -> None:
        """Start to measure the time of a stretch of steps."""
        self._started = time.perf_counter()

    def steps(self, first: int, last: int, losses: dict[str, float]) -> None:
        """Record the mean losses of steps ``first`` to ``last``, and the time that they took."""
        seconds = (time.perf_counter() - self._started) / (last - first)
        self._write({"step": last, **losses, "seconds_per_step": seconds}, "train")

    def validation(self, step: int, name: str, metrics: dict[str, Any]) -> None:
        """Record the metrics of a held-out set; those that are None are not defined there."""
        self._write({"step": step, "validation": name, **metrics}, name)

    def _write(self, record: dict[str, Any], tag: str) -> None:
        if not self._active:
            return
        try:
            with self.path.open("a") as lines:
                lines.write(json.dumps(record) + "\n")
        except OSError as error:
            raise OutputError(f"cannot write the log {self.path}: {error}") from error
        if self._board is not None:
            for key, value in record.items():
                if key not in ("step", "validation") and value is not None:
                    self._board.add_scalar(f"{tag}/{key}", value, record["step"])
        if self._report:
            self._report(record)


def _open_board(folder: Path) -> Any:
    """Return a writer for TensorBoard, or None where it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
