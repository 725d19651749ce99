"""Building an engine again on the machine that is to run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecount._options import check_flag
from edgecount.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edgecount.runtime.models.engines import Rebuild
    from edgecount.runtime.models.sidecar import EngineSidecar


def choose_rebuild(given: bool | Rebuild) -> Rebuild | None:
    """Return the function that builds an engine again: the one that is given, or for True ours.

    Raises:
        ConfigError: it is neither True, False nor a function.
    """
    if callable(given):
        return given
    return rebuild_engine if check_flag("rebuild", given, "True, False or a function") else None


def rebuild_engine(
    plan: Path,
    sidecar: EngineSidecar,
    onnx: Path,
    capability: str,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> EngineSidecar:
    """Build an engine again with its own options, on this machine; takes minutes.

    The plan and its sidecar are replaced.

    Args:
        plan: the engine's file.
        sidecar: its sidecar.
        onnx: the file that it was built from.
        capability: compute capability of the GPU, such as "8.9".
        progress: called with (name of the phase, steps done, steps in all), possibly from another
            thread.

    Returns:
        The new sidecar.

    Raises:
        BackendError: it cannot be built here.
        OutputError: it cannot be written.
    """
    from edgecount.export.tensorrt.build import EngineOptions, build_engine
    from edgecount.export.tensorrt.record import make_sidecar, write_sidecar
    from edgecount.runtime.models.portability import OLDEST, builds_for_others

    options = sidecar.options
    # Where it cannot be for other GPUs as well, it is for this one alone.
    for_others = {
        name for name in OLDEST if options.get(name) and builds_for_others(capability, name)
    }
    try:
        wanted = EngineOptions(
            sidecar.backend,
            sidecar.precision,
            sidecar.shapes,
            compute_capabilities=_capabilities(sidecar, capability),
            workspace=options.get("workspace"),
            dla_core=options.get("dla_core"),
            hardware_compatible="hardware_compatible" in for_others,
            same_capability="same_capability" in for_others,
            version_compatible=bool(options.get("version_compatible")),
            fp16_input=bool(options.get("fp16_input")),
        )
        record = build_engine(onnx, plan, wanted, progress=progress)
    except ConfigError as error:
        raise BackendError(f"{plan} cannot be built again here: {error}") from error
    made = make_sidecar(record, sidecar.manifest, overridden=sidecar.overridden)
    write_sidecar(plan, made)
    return made


def _capabilities(sidecar: EngineSidecar, here: str) -> tuple[str, ...]:
    """Return the compute capabilities to build for; none means the GPU here, or the default."""
    from edgecount.runtime.models.portability import covers, is_open_ended

    if sidecar.backend == "tensorrt" or (is_open_ended(sidecar) and covers(sidecar, here)):
        return ()
    return (here,)
