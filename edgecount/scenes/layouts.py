"""Rendered sequences in the layouts that trainers of detectors and counters read."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount.scenes.scene import Heads


@dataclass(frozen=True)
class SequenceTruth:
    """The truth of a sequence.

    Attributes:
        name: name of the sequence.
        seen: heads that count, frame by frame.
        hidden: heads that do not count, frame by frame.
        fps: frames per second.
        size: (width, height) in pixels.
    """

    name: str
    seen: list[Heads]
    hidden: list[Heads]
    fps: float
    size: tuple[int, int]


class Layout(Protocol):
    """The way in which a set's files are laid out, below ``train`` or ``test``."""

    def picture(self, part: Path, sequence: str, frame: int) -> Path:
        """Return the file of a frame, counted from 1."""

    def has(self, part: Path, sequence: str) -> bool:
        """Return whether a sequence is there whole."""

    def finish(self, part: Path, truth: SequenceTruth) -> None:
        """Write the truth of a sequence whose pictures are all there.

        Raises:
            OutputError: a file cannot be written.
        """


class MotLayout:
    """MOTChallenge's layout of 2019, which CroHD and GTA_Head have.

    ``SEQUENCE/img1/000001.jpg``, ``SEQUENCE/seqinfo.ini`` and ``SEQUENCE/gt/gt.txt`` with rows of
    frame, id, left, top, width, height, flag, class (1) and visibility; frames, ids and pixels are
    counted from 1. Heads that hardly show have flag 0, "not considered": a track goes on behind
    whatever hides it, and counts leave them out.
    """

    def picture(self, part: Path, sequence: str, frame: int) -> Path:
        """Return the file of a frame; see `Layout`."""
        return part / sequence / "img1" / f"{frame:06d}.jpg"

    def has(self, part: Path, sequence: str) -> bool:
        """Return whether a sequence is there whole; see `Layout`."""
        return self._truth(part, sequence).is_file()

    def finish(self, part: Path, truth: SequenceTruth) -> None:
        """Write ``seqinfo.ini``, then ``gt.txt``; see `Layout`."""
        width, height = truth.size
        info = {
            "name": truth.name,
            "imDir": "img1",
            "frameRate": f"{truth.fps:g}",
            "seqLength": len(truth.seen),
            "imWidth": width,
            "imHeight": height,
            "imExt": ".jpg",
        }
        lines = ["[Sequence]", *(f"{key}={value}" for key, value in info.items()), ""]
        write_whole(part / truth.name / "seqinfo.ini", "\n".join(lines).encode())
        rows = [
            f"{frame},{row}\n"
            for frame, (seen, hidden) in enumerate(zip(truth.seen, truth.hidden, strict=True), 1)
            for row in sorted([*_mot_rows(seen, 1), *_mot_rows(hidden, 0)], key=_id_of)
        ]
        write_whole(self._truth(part, truth.name), "".join(rows).encode())

    def _truth(self, part: Path, sequence: str) -> Path:
        return part / sequence / "gt" / "gt.txt"


def _mot_rows(heads: Heads, flag: int) -> list[str]:
    """Return the rows of a frame's heads, without the number of the frame."""
    boxes = _corners_and_sides(heads.boxes)
    return [
        f"{number + 1},{left + 1:.2f},{top + 1:.2f},{width:.2f},{height:.2f},{flag},1,{seen:.2f}"
        for number, (left, top, width, height), seen in zip(
            heads.ids.tolist(), boxes.tolist(), heads.visibility.tolist(), strict=True
        )
    ]


def _id_of(row: str) -> int:
    return int(row.partition(",")[0])


def _corners_and_sides(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return left, top, width and height, float64 (N, 4)."""
    corners = boxes.astype(np.float64)
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


class CsvLayout:
    """Edgecount's own form: ``SEQUENCE/SEQUENCE_000001.jpg`` and one ``heads.csv``.

    Names of files are unique in the set, as the names of its images have to be in lists of them.
    A row is a head that counts: ``image,left,top,width,height,id`` in pixels from 0; the id is the
    person's within the sequence. A frame without people is a row of its name alone.
    """

    _COLUMNS = ("image", "left", "top", "width", "height", "id")

    def picture(self, part: Path, sequence: str, frame: int) -> Path:
        """Return the file of a frame; see `Layout`."""
        return part / self._name(sequence, frame)

    def has(self, part: Path, sequence: str) -> bool:
        """Return whether a sequence is there whole; see `Layout`."""
        return any(_is_of(row, sequence) for row in self._rows(part))

    def finish(self, part: Path, truth: SequenceTruth) -> None:
        """Add the sequence to ``heads.csv``; see `Layout`."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self._COLUMNS)
        # Another process may have written the sequence, where folders cannot be locked.
        writer.writerows(row for row in self._rows(part) if not _is_of(row, truth.name))
        for frame, seen in enumerate(truth.seen, 1):
            name = self._name(truth.name, frame)
            if not len(seen.ids):
                writer.writerow((name, "", "", "", "", ""))
            for number, box in zip(seen.ids.tolist(), _corners_and_sides(seen.boxes), strict=True):
                writer.writerow((name, *(f"{value:.2f}" for value in box), number))
        write_whole(part / "heads.csv", text.getvalue().encode())

    @staticmethod
    def _name(sequence: str, frame: int) -> str:
        return f"{sequence}/{sequence}_{frame:06d}.jpg"

    def _rows(self, part: Path) -> list[list[str]]:
        """Return the rows that are there, without the header."""
        path = part / "heads.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.reader(file))[1:]


def _is_of(row: list[str], sequence: str) -> bool:
    return bool(row) and row[0].startswith(f"{sequence}/")


LAYOUTS: dict[str, type[MotLayout] | type[CsvLayout]] = {"mot": MotLayout, "csv": CsvLayout}
