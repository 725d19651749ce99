"""What an engine is and whether it would run here, from its sidecar."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgecount.runtime.sidecar import EngineSidecar

SUFFIXES = (".engine", ".plan", ".trt")


def engine_facts(path: Path) -> dict[str, Any]:
    """The facts that `inspect` shows of an engine.

    Raises:
        ModelError: the plan or its sidecar is missing or damaged.
    """
    from edgecount.errors import ModelError
    from edgecount.runtime.sidecar import read_sidecar

    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the engine {path}: {error.strerror}") from None
    sidecar = read_sidecar(path)
    reasons = why_not(sidecar, hashlib.sha256(data).hexdigest())
    manifest = sidecar.manifest.to_dict()
    return {
        "file": str(path),
        "bytes": len(data),
        "manifest": manifest,
        "engine": {
            "backend": sidecar.backend,
            "version": sidecar.version,
            "precision": sidecar.precision,
            "layers": sidecar.layers,
            "shapes": [list(getattr(sidecar.shapes, end)) for end in ("min", "opt", "max")],
            "compute_capabilities": list(sidecar.compute_capabilities),
            "device": sidecar.device,
            "driver": sidecar.driver,
            "onnx_sha256": sidecar.onnx_sha256,
            "created_by": sidecar.created_by,
            "overridden": sidecar.overridden,
        },
        "runs": not reasons,
        "backend": None if reasons else sidecar.backend,
        "why_not": "; ".join(reasons) or None,
    }


def why_not(sidecar: EngineSidecar, plan_sha256: str) -> list[str]:
    """Why an engine would not run here; empty if it would."""
    from edgecount.errors import EdgeCountError
    from edgecount.export.trt_module import load_tensorrt, probe_driver
    from edgecount.runtime.sidecar import EngineHost, mismatches

    if plan_sha256 != sidecar.plan_sha256:
        return [
            (
                f"the plan is not the one that its sidecar describes (SHA-256 {plan_sha256[:12]}, "
                f"expected {sidecar.plan_sha256[:12]}): export again"
            )
        ]
    reasons = []
    version = None
    try:
        version = load_tensorrt(sidecar.backend).__version__
    except EdgeCountError as error:
        reasons.append(str(error))
    driver = probe_driver()
    if isinstance(driver, str):
        wanted = ", ".join(sidecar.compute_capabilities)
        return [*reasons, f"{driver}; the engine needs a GPU of compute capability {wanted}"]
    device = driver.devices[0]
    here = EngineHost(
        backend=sidecar.backend,
        version=version or sidecar.version,
        compute_capability=device.capability,
        device=device.name,
        driver=driver.cuda,
    )
    return [
        *reasons,
        *mismatches(sidecar, here),
        "this edgecount counts with ONNX models; trtexec and Triton run the engine",
    ]


def engine_rows(engine: dict[str, Any]) -> list[tuple[str, str]]:
    """Rows for people."""
    layers = ", ".join(f"{number} in {kind}" for kind, number in engine["layers"].items())
    least, usual, most = ("x".join(map(str, shape)) for shape in engine["shapes"])
    sizes = usual if least == most else f"{least} to {most}, tuned for {usual}"
    built = f"on {engine['device']}" if engine["device"] else "without a GPU"
    rows = [
        (
            "engine",
            f"{engine['precision']}, {engine['backend']} {engine['version']}, built {built}",
        ),
        ("layers", layers or "not told"),
        ("needs", f"a GPU of compute capability {', '.join(engine['compute_capabilities'])}"),
        ("images", sizes),
    ]
    if engine["overridden"]:
        rows.append(("accuracy", "refused by its gate, kept by force"))
    return rows
