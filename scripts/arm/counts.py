"""Count pictures by an engine, and print a JSON line for each: on two processors, to compare them.

    python scripts/arm/counts.py MODEL BACKEND PICTURE...

It needs edgecount and the backend's package, and nothing else of the sources.
"""

from __future__ import annotations

import json
import platform
import sys

from edgecount import EdgeCounter


def main() -> None:
    """Count."""
    model, backend, *pictures = sys.argv[1:]
    # No proof of faster precisions: under an emulator that takes an hour.
    with EdgeCounter(model, backend=backend, threads=1, precision="float32") as counter:
        for picture in pictures:
            result = counter.count(picture)
            told = {
                "machine": platform.machine(),
                "model": model,
                "backend": backend,
                "precision": result.precision,
                "picture": picture,
                "count": result.count,
                "heads": len(result.points),
            }
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
