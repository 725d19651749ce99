"""Which engines an export builds, and for what sizes."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging

from edgecount.errors import ConfigError
from edgecount.export.options import ExportOptions, Size
from edgecount.export.tensorrt.build import EngineOptions, check_engine
from edgecount.manifest import InputSpec
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.sidecar import InputShapes, Precision, Target

__all__ = ["engine_shapes", "plan_engines", "usual_sizes"]

log = logging.getLogger(__name__)


def plan_engines(spec: InputSpec, options: ExportOptions) -> tuple[list[EngineOptions], str | None]:
    """The engines to build, one for each precision, checked; and why there are none.

    Raises:
        BackendError: TensorRT is not there, or finds no GPU that it needs.
        ConfigError: an option makes no sense for it.
    """
    target, reason = _target(options)
    if target is None:
        _tell_of_idle(options, reason)
        return [], reason
    if target == "tensorrt-rtx" and options.dla_core is not None:
        raise ConfigError(
            "--dla: TensorRT for RTX knows no accelerators, which only Jetsons have: export "
            "there, with --target tensorrt"
        )
    base = options.engine or EngineOptions(target)
    if target == "tensorrt-rtx" and base.timing_cache is not None:
        raise ConfigError(
            "--timing-cache: TensorRT for RTX measures nothing while it builds: leave it out"
        )
    wanted: list[Precision] = []
    wanted += ["fp16"] if options.fp16 else []
    wanted += ["int8"] if options.int8 else []
    plans = [
        dataclasses.replace(
            base,
            target=target,
            precision=precision,
            shapes=engine_shapes(spec, options),
            dla_core=options.dla_core,
        )
        for precision in wanted or ["fp32"]
    ]
    for plan in plans:
        check_engine(plan)
    return plans, None


def _tell_of_idle(options: ExportOptions, reason: str | None) -> None:
    """Warn of options about engines where none is built; one that was ruled out is an error.

    Raises:
        ConfigError: sizes of an engine, for ONNX files alone.
    """
    engine = options.engine
    given = {
        "--input dynamic": options.profile is not None,
        "--dla": options.dla_core is not None,
        "--workspace": engine is not None and engine.workspace is not None,
        "--timing-cache": engine is not None and engine.timing_cache is not None,
        "--hardware-compatible": engine is not None and engine.hardware_compatible,
        "--version-compatible": engine is not None and engine.version_compatible,
    }
    idle = [flag for flag, there in given.items() if there]
    if not idle:
        return
    if reason is None:
        raise ConfigError(
            f"{idle[0]}: expected with an engine (--target tensorrt or tensorrt-rtx), and does "
            "nothing for ONNX files, which take any size unless --input HxW says one"
            if idle[0] == "--input dynamic"
            else f"{idle[0]}: expected with an engine (--target tensorrt or tensorrt-rtx)"
        )
    log.warning("%s did nothing: no engine is built, because %s", ", ".join(idle), reason)


def _target(options: ExportOptions) -> tuple[Target | None, str | None]:
    if options.target in ("tensorrt", "tensorrt-rtx"):
        return options.target, None
    if options.target == "onnx":
        return None, None
    if importlib.util.find_spec("tensorrt") is None:
        return None, "the package tensorrt is not installed"
    driver = probe_driver()
    return (None, driver) if isinstance(driver, str) else ("tensorrt", None)


def engine_shapes(spec: InputSpec, options: ExportOptions) -> InputShapes:
    """The shapes of an engine's input.

    Raises:
        ConfigError: sides that the network cannot take.
    """
    batch = options.batch or 1
    if spec.static_size and options.profile:
        height, width = spec.static_size
        raise ConfigError(
            f"--input: the model takes one size, {height}x{width}: leave it out, or export from "
            "a model that takes any"
        )
    if size := options.size or spec.static_size:
        # An accelerator takes one shape only.
        least = batch if options.dla_core is not None else 1
        return InputShapes((least, 3, *size), (batch, 3, *size), (batch, 3, *size))
    profile = options.profile or usual_sizes(spec)
    for size in profile:
        if any(side % spec.multiple for side in size):
            raise ConfigError(
                f"--input: expected sides that are multiples of {spec.multiple}, got "
                f"{size[0]}x{size[1]}"
            )
    low, usual, high = profile
    return InputShapes((1, 3, *low), (1, 3, *usual), (batch, 3, *high))


def usual_sizes(spec: InputSpec) -> tuple[Size, Size, Size]:
    """What an engine takes by default: from the least frame to a wide one of the longest side.

    A frame that stands upright and is as long does not fit: memory goes by the largest size.
    """

    def fit(side: int) -> int:
        return -(-min(side, spec.max_side) // spec.multiple) * spec.multiple

    least = -(-spec.min_side // spec.multiple) * spec.multiple
    return (
        (least, least),
        (max(fit(480), least), max(fit(640), least)),
        (max(fit(1152), least), max(fit(2048), least)),
    )
