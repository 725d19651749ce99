"""Choose the engines that an export builds, and their sizes."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Callable

from edgecount.errors import ConfigError
from edgecount.export.defaults import ENGINE_OPTIONS
from edgecount.export.options import EngineOptions, ExportOptions, Size
from edgecount.export.tensorrt.build import check_engine
from edgecount.manifest import InputSpec
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.sidecar import InputShapes, Precision, Target


def choose_engines(
    spec: InputSpec, options: ExportOptions, warn: Callable[[str], None]
) -> tuple[list[EngineOptions], str | None]:
    """Choose and check the engines to build, one for each precision; warn of what does nothing.

    Returns:
        The engines' options, and why there are none; None where there are some, or none was
        asked for.

    Raises:
        BackendError: TensorRT is not installed, or finds no GPU that it needs.
        ConfigError: an option makes no sense for it.
    """
    target, reason = _target(options)
    if target is None:
        _warn_of_unused(options, reason, warn)
        return [], reason
    if target == "tensorrt-rtx" and options.dla_core is not None:
        raise ConfigError(
            "dla_core: TensorRT for RTX knows no accelerators, which only Jetsons have: export "
            "there, with `target=tensorrt`"
        )
    base = options.engine or EngineOptions(target)
    if target == "tensorrt-rtx" and base.timing_cache is not None:
        raise ConfigError(
            "timing_cache: TensorRT for RTX measures nothing while it builds: leave it out"
        )
    asked: dict[Precision, bool] = {"fp16": options.fp16, "int8": options.int8}
    precisions = [precision for precision, wanted in asked.items() if wanted] or ["fp32"]
    shapes, core = input_shapes(spec, options), options.dla_core
    engines = [
        dataclasses.replace(base, target=target, precision=one, shapes=shapes, dla_core=core)
        for one in precisions
    ]
    for engine in engines:
        check_engine(engine)
    return engines, None


def _warn_of_unused(
    options: ExportOptions, reason: str | None, warn: Callable[[str], None]
) -> None:
    """Warn of options about engines where none can be built; if none was asked for, refuse them.

    Raises:
        ConfigError: an option is about engines, and only ONNX files are asked for.
    """
    engine = options.engine or EngineOptions("tensorrt")
    given: dict[str, object] = {"profile": options.profile, "dla_core": options.dla_core}
    given |= {name: getattr(engine, name) or None for name in ENGINE_OPTIONS}
    unused = [name for name, value in given.items() if value is not None]
    if not unused:
        return
    if reason is None:
        more = ": ONNX files take any size, unless `size` says one" * (unused[0] == "profile")
        raise ConfigError(
            f"{unused[0]}: expected with an engine (`target=tensorrt` or `target=tensorrt-rtx`), "
            f"and does nothing without{more}"
        )
    names = ", ".join(f"`{name}`" for name in unused)
    warn(f"{names} did nothing: no engine is built, because {reason}")


def _target(options: ExportOptions) -> tuple[Target | None, str | None]:
    """Return the library to build with, or why there is none; two None if none is asked for."""
    if options.target in ("tensorrt", "tensorrt-rtx"):
        return options.target, None
    if options.target in ("onnx", "openvino"):
        return None, None
    if importlib.util.find_spec("tensorrt") is None:
        return None, "the package tensorrt is not installed"
    driver = probe_driver()
    return (None, driver) if isinstance(driver, str) else ("tensorrt", None)


def input_shapes(spec: InputSpec, options: ExportOptions) -> InputShapes:
    """Return min, opt and max shape of an engine's input, (B, 3, H, W).

    Raises:
        ConfigError: the network cannot take such sides.
    """
    batch = options.batch or 1
    if spec.static_size and options.profile:
        height, width = spec.static_size
        raise ConfigError(
            f"profile: the model takes one size, {height}x{width}: leave it out, or export from "
            "a model that takes any"
        )
    if size := options.size or spec.static_size:
        # An accelerator takes one shape only.
        fewest = batch if options.dla_core is not None else 1
        return InputShapes((fewest, 3, *size), (batch, 3, *size), (batch, 3, *size))
    profile = options.profile or default_profile(spec)
    for size in profile:
        if any(side % spec.multiple for side in size):
            raise ConfigError(
                f"profile: expected sides that are multiples of {spec.multiple}, got "
                f"{size[0]}x{size[1]}"
            )
    smallest, opt, largest = profile
    return InputShapes((1, 3, *smallest), (1, 3, *opt), (batch, 3, *largest))


def default_profile(spec: InputSpec) -> tuple[Size, Size, Size]:
    """Return the min, opt and max (height, width) of an engine for which no sizes were given.

    They go from the smallest frame to a wide one of the model's longest side. A frame that stands
    upright and is as long does not fit: memory goes by the largest size.
    """

    def fit(side: int) -> int:
        return -(-min(side, spec.max_side) // spec.multiple) * spec.multiple

    smallest = -(-spec.min_side // spec.multiple) * spec.multiple
    return (
        (smallest, smallest),
        (max(fit(480), smallest), max(fit(640), smallest)),
        (max(fit(1152), smallest), max(fit(2048), smallest)),
    )
