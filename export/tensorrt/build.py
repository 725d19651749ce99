"""Build a TensorRT engine from an ONNX file, and check its precision.

One code for TensorRT 8.6 to 11 and TensorRT for RTX. The last builds ahead of time, for GPUs that
are not here; the others build for the GPU that is.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from edgecount._files import write_whole
from edgecount.errors import BackendError, ModelError, OutputError
from edgecount.export.options import EngineOptions
from edgecount.export.progress import Progress
from edgecount.export.tensorrt.callbacks import Interrupt, make_monitor
from edgecount.export.tensorrt.config import (
    check_accelerator,
    check_gpu,
    check_options,
    is_typed,
    make_config,
    offered_capabilities,
    save_timing_cache,
    with_point,
)
from edgecount.export.tensorrt.fp16_input import with_fp16_input
from edgecount.export.tensorrt.inspect import inspect_engine
from edgecount.export.tensorrt.layer_precision import check_precision, describe, network_precisions
from edgecount.export.tensorrt.network import (
    TensorRecord,
    check_shapes,
    failure,
    parse_onnx,
    tensors_of,
)
from edgecount.export.tensorrt.record import EngineRecord
from edgecount.runtime.backends.tensorrt.library import (
    Features,
    library_name,
    load_tensorrt,
    probe_features,
)
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog
from edgecount.runtime.cuda.driver import probe_driver
from edgecount.runtime.models.portability import AMPERE, open_ended, platform_of
from edgecount.runtime.models.sidecar import InputShapes

if TYPE_CHECKING:
    import onnx

    from edgecount.runtime.cuda.driver import Driver

__all__ = ["EngineOptions", "build_engine", "check_engine", "check_network"]

log = logging.getLogger(__name__)


def build_engine(
    onnx: Path, path: Path, options: EngineOptions, *, progress: Progress | None = None
) -> EngineRecord:
    """Build an engine from an ONNX file that has the wanted precision already.

    Args:
        onnx: one float32 input (B, 3, H, W) and float32 outputs; fp16 and int8 inside it, for
            libraries whose graphs are typed (`probe_features(...).typed_graphs`).
        path: the file to write, whole or not at all; replaced if it is there.
        options: how to build it.
        progress: reported to by phases, which lie in one another, possibly from another thread;
            what it raises ends the build and is raised here.

    Raises:
        MissingExtraError: TensorRT for RTX is not installed.
        BackendError: TensorRT is not installed, finds no GPU, cannot run the graph or cannot build
            it; or the engine's precision is not what was asked for.
        ModelError: the ONNX file is missing, damaged, or not of this kind.
        ConfigError: an option makes no sense here.
        OutputError: the engine cannot be written.
        KeyboardInterrupt: Ctrl-C; there is no file then.
    """
    trt = load_tensorrt(options.target)
    features = probe_features(trt)
    check_options(trt, features, options)
    driver = _driver_for(features, options)
    data = _read(onnx)
    _check_folder(path)
    trt_log = TensorRTLog(trt)
    started = time.perf_counter()
    with Interrupt() as interrupt:
        tools = _Tools(trt, features, trt_log, options, progress, interrupt)
        built = _build(tools, onnx, data)
        seconds = time.perf_counter() - started
        if built.cache_of is not None and options.timing_cache is not None:
            save_timing_cache(built.cache_of, options.timing_cache)
        engine_layers = _inspect(tools, built) if driver else None
    ahead = features.compute_capabilities
    layers = built.layers if engine_layers is None or built.typed else engine_layers
    write_whole(path, built.engine)
    record = EngineRecord(
        path=path,
        size=len(built.engine),
        sha256=hashlib.sha256(built.engine).hexdigest(),
        onnx_sha256=hashlib.sha256(data).hexdigest(),
        seconds=seconds,
        version=trt.__version__,
        compute_capabilities=_capabilities(trt, options, driver),
        device=driver.devices[0].kind if driver else None,
        driver=driver.cuda if driver else None,
        shapes=built.shapes,
        tensors=built.tensors,
        typed=built.typed,
        layers=layers,
        engine_layers=engine_layers,
        options=options,
        # Engines of RTX run on Windows and Linux alike.
        platform=platform_of(driver.devices[0]) if driver and not ahead else None,
    )
    for problem in trt_log.problems:
        log.warning("%s", problem)
    log.info("wrote %s, %.1f MB in %.1f s: %s", path, record.size / 1e6, seconds, describe(layers))
    return record


def check_engine(options: EngineOptions) -> None:
    """Check that an engine can be built here at all, before the long work.

    Raises:
        MissingExtraError: TensorRT for RTX is not installed.
        BackendError: TensorRT is not installed, or finds no GPU, or not the accelerator.
        ConfigError: an option makes no sense here.
    """
    trt = load_tensorrt(options.target)
    features = probe_features(trt)
    check_options(trt, features, options)
    _driver_for(features, options)
    if options.dla_core is not None:
        tools = _Tools(trt, features, TensorRTLog(trt), options, None, Interrupt())
        check_accelerator(trt, _open_builder(tools), options.dla_core)


def check_network(model: onnx.ModelProto, engines: Sequence[EngineOptions]) -> None:
    """Check that TensorRT takes a graph, before hours of converting it.

    Args:
        model: the float32 graph, with all of its weights inside.
        engines: options of the engines to build from it.

    Raises:
        BackendError: it has operators that TensorRT does not support.
        ConfigError: the engines' shapes are not those of its input.
        ModelError: it is not a graph of one image tensor, or not float32.
    """
    if not engines:
        return
    # Precisions differ in the types of the same operators: one graph stands for all.
    options, path = engines[0], Path("model.onnx")
    trt = load_tensorrt(options.target)
    features = probe_features(trt)
    with Interrupt() as interrupt:
        tools = _Tools(trt, features, TensorRTLog(trt), options, None, interrupt)
        tensors, *_ = _parse(tools, _open_builder(tools), path, model.SerializeToString())
        for engine in engines:
            check_shapes(tensors[0], engine.shapes)


class _Tools(NamedTuple):
    trt: ModuleType
    features: Features
    log: TensorRTLog
    options: EngineOptions
    progress: Progress | None
    interrupt: Interrupt


class _Built(NamedTuple):
    engine: bytes
    shapes: InputShapes
    tensors: tuple[TensorRecord, ...]
    typed: bool
    layers: dict[str, int]
    cache_of: Any  # the configuration that holds measured times, or None


def _driver_for(features: Features, options: EngineOptions) -> Driver | None:
    """Return the driver, or None: without one only builds ahead of time are possible."""
    driver = probe_driver()
    if not isinstance(driver, str):
        check_gpu(options, driver.devices[0])
        return driver
    if not features.compute_capabilities:
        raise BackendError(
            f"TensorRT builds engines on the GPU that runs them, and there is none here: {driver}; "
            "run the export on the board or PC where the engine shall run, or use "
            "`target=tensorrt-rtx`, which builds without a GPU"
        )
    return None


def _read(onnx: Path) -> bytes:
    try:
        return onnx.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model {onnx}: {error.strerror}") from None


def _check_folder(path: Path) -> None:
    """Refuse a file that could not be written, before minutes of building."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    if not os.access(path.parent, os.W_OK):
        raise OutputError(f"cannot write {path}: no permission to write into {path.parent}")


def _build(tools: _Tools, onnx: Path, data: bytes) -> _Built:
    trt, features, options = tools.trt, tools.features, tools.options
    typed = is_typed(features, options)
    builder = _open_builder(tools)
    if options.fp16_input:
        data = _with_fp16_input(onnx, data)
    tensors, network, parser = _parse(tools, builder, onnx, data)
    shapes = check_shapes(tensors[0], options.shapes)
    layers = network_precisions(network) if typed else {}
    if typed:
        check_precision(options.precision, layers, f"the graph of {onnx}", _advice(options))
    config = make_config(trt, features, builder, network, options, shapes, typed=typed)
    serialized = _serialize(tools, builder, network, config)
    del parser  # it owns the weights that the builder has read by now
    measured = options.timing_cache is not None and features.measures
    return _Built(bytes(serialized), shapes, tensors, typed, layers, config if measured else None)


def _with_fp16_input(onnx: Path, data: bytes) -> bytes:
    changed = with_fp16_input(data)
    if isinstance(changed, str):
        log.warning("fp16_input: the engine takes float32 for %s: %s", onnx.name, changed)
        return data
    return changed


def _parse(
    tools: _Tools, builder: Any, onnx: Path, data: bytes
) -> tuple[tuple[TensorRecord, ...], Any, Any]:
    """Return tensors and network of a graph, and the parser that owns its weights."""
    trt, features = tools.trt, tools.features
    typed = is_typed(features, tools.options)
    network, parser = parse_onnx(
        trt, features, builder, tools.log, path=onnx, data=data, typed=typed
    )
    tensors = tensors_of(network)
    for tensor in tensors:
        fp16 = tools.options.fp16_input and tensor.mode == "input" and tensor.dtype == "float16"
        if tensor.dtype != "float32" and not fp16:  # which frames and counts come in
            raise ModelError(
                f"{onnx}: expected float32 inputs and outputs, got {tensor.dtype} for the "
                f"{tensor.mode} {tensor.name}: keep the types of inputs and outputs when you "
                "convert it"
            )
    return tensors, network, parser


def _open_builder(tools: _Tools) -> Any:
    try:
        return tools.trt.Builder(tools.log.logger)
    except TypeError as error:  # what the bindings make of a null pointer
        raise _failed(tools, "could not start") from error


def _serialize(tools: _Tools, builder: Any, network: Any, config: Any) -> Any:
    """Build the engine; TensorRT returns None where it fails, and logs the reasons."""
    monitor = None
    if tools.features.progress_monitor:
        monitor = make_monitor(tools.trt, tools.progress, tools.interrupt)
        config.progress_monitor = monitor
    elif tools.progress is not None:
        tools.progress("Building engine", 0, 1)
    serialized = builder.build_serialized_network(network, config)
    if monitor is not None:
        config.progress_monitor = None
        if monitor.failure is not None:
            raise monitor.failure
    elif tools.progress is not None:
        tools.progress("Building engine", 1, 1)
    if tools.interrupt.requested:
        raise KeyboardInterrupt
    if serialized is None:
        raise _failed(tools, "could not build the engine")
    return serialized


def _failed(tools: _Tools, what: str) -> BackendError:
    name = library_name(tools.trt, tools.options.target)
    return failure(f"{name} {what}", tools.log.problems, tools.options.workspace)


def _advice(options: EngineOptions) -> str:
    if options.precision == "fp32":
        return "give it the fp32 ONNX, or ask for the precision that the file has"
    return (
        "this library takes the precision from the ONNX: convert the file to "
        f"{options.precision} first, or ask for the precision that it has"
    )


def _inspect(tools: _Tools, built: _Built) -> dict[str, int] | None:
    """Count the engine's layers by precision; check them where the graph's types do not bind it."""
    options = tools.options
    found = inspect_engine(
        tools.trt, tools.features, tools.log, built.engine, built.tensors, options.dla_core
    )
    if not built.typed:
        if isinstance(found, str):
            raise BackendError(f"the precision of the engine cannot be checked: {found}")
        advice = "its GPU was faster otherwise, or has no such units: ask for fp32, or see the log"
        check_precision(options.precision, found, "the engine", advice)
    if isinstance(found, str):
        log.info("the engine was not inspected: %s", found)
        return None
    return found


def _capabilities(
    trt: ModuleType, options: EngineOptions, driver: Driver | None
) -> tuple[str, ...]:
    """Return the GPUs that an engine runs on, as its sidecar names them."""
    if options.compute_capabilities:
        return tuple(dict.fromkeys(with_point(one) for one in options.compute_capabilities))
    if options.hardware_compatible:
        return (f"{AMPERE}+",)
    if options.target == "tensorrt-rtx" or driver is None:
        return open_ended([*offered_capabilities(trt)])
    return (driver.devices[0].capability,)
