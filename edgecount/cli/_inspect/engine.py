"""Facts of an engine from its sidecar, and whether it runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def engine_facts(path: Path) -> dict[str, Any]:
    """Return the facts that `inspect` shows of an engine, which is run if it fits this machine.

    Raises:
        ModelError: the engine or its sidecar is missing or damaged.
    """
    from edgecount.runtime.backends.tensorrt.compatibility import engine_problems, read_plan
    from edgecount.runtime.models.engines import Engine
    from edgecount.runtime.models.sidecar import read_sidecar

    data = read_plan(path)
    sidecar = read_sidecar(path)
    why_not = "; ".join(engine_problems(Engine(path, sidecar), data))
    backend = None
    if not why_not:
        backend, why_not = try_model(str(path), sidecar.shapes.opt[2:])
    return {
        "file": str(path),
        "bytes": len(data),
        "manifest": sidecar.manifest.to_dict(),
        "engine": {
            "backend": sidecar.backend,
            "version": sidecar.version,
            "precision": sidecar.precision,
            "layers": sidecar.layers,
            "shapes": [list(getattr(sidecar.shapes, end)) for end in ("min", "opt", "max")],
            "compute_capabilities": list(sidecar.compute_capabilities),
            "platform": sidecar.platform,
            "device": sidecar.device,
            "driver": sidecar.driver,
            "onnx_sha256": sidecar.onnx_sha256,
            "created_by": sidecar.created_by,
            "overridden": sidecar.overridden,
        },
        "runs": backend is not None,
        "backend": backend,
        "why_not": why_not or None,
    }


def try_model(model: str, size: tuple[int, int] = (64, 64)) -> tuple[str | None, str]:
    """Count a grey frame of (height, width) pixels.

    Returns:
        The backend that counted it, and "" or the reason why none could.
    """
    import numpy as np

    from edgecount.counter import EdgeCounter
    from edgecount.errors import EdgeCountError
    from edgecount.runtime.backends.calls import FIRST_RUN, time_limit

    try:
        limit = time_limit(FIRST_RUN, f"{model}, run on {size[1]}x{size[0]} px,")
        with limit, EdgeCounter(model) as counter:
            result = counter.count(np.full((*size, 3), 128, np.uint8))
    except EdgeCountError as error:
        return None, str(error)
    return result.backend, ""


def engine_rows(engine: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the engine's facts as rows of a name and a text."""
    layers = ", ".join(f"{number} in {kind}" for kind, number in engine["layers"].items())
    smallest, opt, largest = ("x".join(map(str, shape)) for shape in engine["shapes"])
    gpus = f"a GPU of compute capability {', '.join(engine['compute_capabilities'])}"
    sizes = opt if smallest == largest else f"{smallest} to {largest}, tuned for {opt}"
    built = f"on {engine['device']}" if engine["device"] else "without a GPU"
    rows = [
        (
            "engine",
            f"{engine['precision']}, {engine['backend']} {engine['version']}, built {built}",
        ),
        ("layers", layers or "not reported"),
        ("needs", f"{gpus} on {engine['platform']}" if engine["platform"] else gpus),
        ("images", sizes),
    ]
    if engine["overridden"]:
        rows.append(("accuracy", "refused by its gate, kept by force"))
    return rows
