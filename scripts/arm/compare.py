"""Compare the counts of two processors, as counts.py printed them; a table in Markdown.

    python scripts/arm/compare.py HOST.jsonl ARM.jsonl

The exit code is 1 if a count differs by more than rounding allows, or one is missing.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# Shares of the count and people: kernels sum in another order, INT8 rounds other ties.
ALLOWED = {"float32": (1e-4, 0.01), "int8": (0.03, 0.3)}


def read(path: str) -> dict[tuple[str, str, str], dict[str, Any]]:
    """Return what counts.py printed, by model, backend and picture."""
    rows = map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
    return {(row["model"], row["backend"], row["picture"]): row for row in rows}


def main() -> None:
    """Compare."""
    host, arm = read(sys.argv[1]), read(sys.argv[2])
    worst = 0
    print("| model | backend | precision | picture | x86-64 | aarch64 | heads | |")
    print("|---|---|---|---|---|---|---|---|")
    for key in sorted(host.keys() | arm.keys()):
        here, there = host.get(key), arm.get(key)
        names = [Path(key[0]).name, key[1]]
        if here is None or there is None:
            worst = 1
            print("| " + " | ".join([*names, "", Path(key[2]).stem, "", "", "", "missing"]) + " |")
            continue
        share, people = ALLOWED[here["precision"]]
        agrees = abs(here["count"] - there["count"]) <= max(share * here["count"], people)
        worst |= not agrees
        cells = [
            *names, there["precision"], Path(key[2]).stem, f"{here['count']:.4f}",
            f"{there['count']:.4f}", f"{here['heads']}, {there['heads']}",
            "agrees" if agrees else "differs",
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |")
    raise SystemExit(worst)


if __name__ == "__main__":
    main()
