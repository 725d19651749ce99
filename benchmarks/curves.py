"""Draw the curves of a training in stages as one picture, and join its logs.

    python benchmarks/curves.py runs/s/log.jsonl runs/second/log.jsonl --out results/s

writes OUT.jsonl, whose steps go on from stage to stage, and OUT.png.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edgecount.train.report.charts import curves


def main() -> None:
    """Join the logs and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="+", type=Path, help="log.jsonl of each stage, in order")
    parser.add_argument("--out", type=Path, required=True, help="name of the files, less suffix")
    options = parser.parse_args()
    records = joined([read(log) for log in options.logs])
    picture = curves(records)
    if picture is None:
        sys.exit("the logs hold nothing to draw")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(record) + "\n" for record in records)
    options.out.with_suffix(".jsonl").write_text(lines)
    options.out.with_suffix(".png").write_bytes(picture)


def read(log: Path) -> list[dict[str, Any]]:
    """Read the records of one stage; of a step that was run again after a stop, the last."""
    found: dict[tuple[int, str], dict[str, Any]] = {}
    for line in log.read_text().splitlines():
        record = json.loads(line)
        found[record["step"], record.get("validation", "")] = record
    return sorted(found.values(), key=lambda record: int(record["step"]))


def joined(stages: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Join the stages in one list; steps go on from the end of the stage before."""
    made: list[dict[str, Any]] = []
    for stage in stages:
        before = made[-1]["step"] if made else 0
        made += [{**record, "step": before + record["step"]} for record in stage]
    return made


if __name__ == "__main__":
    main()
