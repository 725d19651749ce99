"""Which engines an export builds, and for what sizes."""

from __future__ import annotations

import dataclasses
import importlib.util

from edgecount.errors import ConfigError
from edgecount.export.engine import EngineOptions, check_engine
from edgecount.export.options import ExportOptions, Size
from edgecount.manifest import InputSpec
from edgecount.runtime.cuda_driver import probe_driver
from edgecount.runtime.sidecar import InputShapes, Precision, Target

__all__ = ["engine_shapes", "plan_engines", "usual_sizes"]


def plan_engines(spec: InputSpec, options: ExportOptions) -> tuple[list[EngineOptions], str | None]:
    """The engines to build, one for each precision, checked; and why there are none.

    Raises:
        BackendError: TensorRT is not there, or finds no GPU that it needs.
        ConfigError: an option makes no sense for it.
    """
    target, reason = _target(options)
    if target is None:
        return [], reason
    base = options.engine or EngineOptions(target)
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
    batch = options.batch
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
