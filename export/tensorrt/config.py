"""Make TensorRT's builder configuration from an engine's options."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edgecount._files import write_whole
from edgecount.errors import BackendError, ConfigError
from edgecount.runtime.models.portability import (
    JETSON,
    OLDEST,
    builds_for_others,
    open_ended,
)

if TYPE_CHECKING:
    from edgecount.export.options import EngineOptions
    from edgecount.runtime.backends.tensorrt.library import Features
    from edgecount.runtime.cuda.driver import Device
    from edgecount.runtime.models.sidecar import InputShapes

log = logging.getLogger(__name__)


def check_options(trt: ModuleType, features: Features, options: EngineOptions) -> None:
    """Refuse what this TensorRT cannot do, before any long work.

    Raises:
        ConfigError: an option makes no sense for it; the message names the option.
    """
    if features.compute_capabilities:
        offered = offered_capabilities(trt)
        for capability in options.compute_capabilities:
            if with_point(capability) not in offered:
                raise ConfigError(
                    f"compute_capabilities: expected some of {', '.join(offered)}, got "
                    f"{capability!r}: {_no_engine_for(with_point(capability))}"
                )
        for name in ("hardware_compatible", "same_capability", "version_compatible"):
            if getattr(options, name):
                raise ConfigError(
                    f"{name}: TensorRT for RTX does not have it; its engines run on "
                    f"{', '.join(open_ended([*offered]))}, or on those of `compute_capabilities`: "
                    "leave it out"
                )
    elif options.compute_capabilities:
        raise ConfigError(
            "compute_capabilities: TensorRT builds for the GPU that is here only: leave it out, or "
            "use `hardware_compatible`, or `target=tensorrt-rtx`"
        )
    for name, there in (
        ("dla_core", features.dla),
        ("hardware_compatible", features.hardware_compatibility),
        ("same_capability", features.same_capability),
        ("version_compatible", features.version_compatibility),
    ):
        value = getattr(options, name)
        if not (value is None or value is False or there):
            raise ConfigError(f"{name}: TensorRT {trt.__version__} does not have it: leave it out")

    if options.fp16_input:
        _check_fp16_input(trt, features, options)


def _check_fp16_input(trt: ModuleType, features: Features, options: EngineOptions) -> None:
    if options.precision == "fp32":
        raise ConfigError(
            "fp16_input: expected with `fp16` or `int8`: an FP32 engine computes with all bits of "
            "its input"
        )
    if not is_typed(features, options):
        raise ConfigError(
            f"fp16_input: expected TensorRT 10 or newer, without `dla_core`, whose engines have "
            f"the types of their graph, got {trt.__version__}: leave it out"
        )


def is_typed(features: Features, options: EngineOptions) -> bool:
    """Return whether the types of the graph bind the engine."""
    # Until TensorRT 11, accelerators take their precision from flags, which typed networks forbid.
    flagged_dla = options.dla_core is not None and features.precision_flags
    return features.typed_graphs and not flagged_dla


def check_gpu(options: EngineOptions, gpu: Device) -> None:
    """Refuse what TensorRT cannot do on a GPU.

    Raises:
        ConfigError: an option makes no sense for it; the message names the option.
    """
    for name, oldest in OLDEST.items():
        if getattr(options, name) and not builds_for_others(gpu.capability, name):
            raise ConfigError(
                f"{name}: expected a GPU of compute capability {oldest} or newer and no Jetson, "
                f"got {gpu.name} of {gpu.capability}: leave it out"
            )


def _no_engine_for(capability: str) -> str:
    if capability in JETSON:
        return "that is a Jetson, which wants `target=tensorrt`, on the board itself"
    return "TensorRT for RTX has no kernels for it"


def make_config(
    trt: ModuleType,
    features: Features,
    builder: Any,
    network: Any,
    options: EngineOptions,
    shapes: InputShapes,
    *,
    typed: bool,
) -> Any:
    """Make a builder configuration.

    Raises:
        BackendError: the board does not have the accelerator that was asked for.
    """
    config = builder.create_builder_config()
    # The inspector knows the layers' types only of engines built so.
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace << 20)
    if -1 in tuple(network.get_input(0).shape):
        profile = builder.create_optimization_profile()
        profile.set_shape(network.get_input(0).name, shapes.min, shapes.opt, shapes.max)
        config.add_optimization_profile(profile)
        if features.profile_sharing:
            _share_profile(trt, config)
    if options.compute_capabilities:
        _set_capabilities(trt, config, options.compute_capabilities)
    _set_compatibility(trt, config, options)
    if not typed:
        _allow_types(trt, config, network, options.precision)
    if options.dla_core is not None:
        check_accelerator(trt, builder, options.dla_core)
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = options.dla_core
        # Some layer of every network of ours is none that an accelerator can run.
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
        _log_fallback(features, config, network, options)
    if options.timing_cache is not None and features.measures:
        load_timing_cache(config, options.timing_cache)
    return config


def _share_profile(trt: ModuleType, config: Any) -> None:
    """Let several contexts use the one range of shapes: each camera's thread has its own.

    TensorRT 8 would refuse the second context; 10 shares anyway, and 11 knows nothing else.
    """
    sharing = trt.PreviewFeature.PROFILE_SHARING_0806
    if not config.get_preview_feature(sharing):
        config.set_preview_feature(sharing, True)


def _set_compatibility(trt: ModuleType, config: Any, options: EngineOptions) -> None:
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.same_capability:
        level = trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY
        config.hardware_compatibility_level = level
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)


def _set_capabilities(trt: ModuleType, config: Any, capabilities: tuple[str, ...]) -> None:
    offered = offered_capabilities(trt)
    wanted = dict.fromkeys(with_point(capability) for capability in capabilities)
    config.num_compute_capabilities = len(wanted)
    for index, capability in enumerate(wanted):
        config.set_compute_capability(offered[capability], index)


def check_accelerator(trt: ModuleType, builder: Any, core: int) -> None:
    """Refuse a deep-learning accelerator that the board does not have.

    Raises:
        BackendError: it has none, or fewer.
    """
    if core >= builder.num_DLA_cores:
        raise BackendError(
            f"dla_core: expected one of the accelerators that TensorRT {trt.__version__} finds on "
            f"this board, which are {builder.num_DLA_cores}, got {core}: leave it out"
        )


def _log_fallback(features: Features, config: Any, network: Any, options: EngineOptions) -> None:
    """Log how many layers the GPU will run: TensorRT sends them there in silence."""
    layers = [network.get_layer(index) for index in range(network.num_layers)]
    fit = sum(config.can_run_on_DLA(layer) for layer in layers)
    log.info("the accelerator can run %d of %d layers, the GPU the others", fit, len(layers))
    if fit == 0:
        log.warning("the accelerator can run no layer of this model: build for the GPU")
    elif options.precision == "int8" and features.precision_flags:
        # Until TensorRT 11 accelerators take ranges from a calibrator, and no QuantizeLinear.
        log.warning(
            "the accelerators of this TensorRT run no graph with QuantizeLinear, so that the GPU "
            "runs its layers: export FP16 for the accelerator"
        )


def _allow_types(trt: ModuleType, config: Any, network: Any, precision: str) -> None:
    """Allow types where TensorRT chooses them, and ask for those that the graph has.

    int8 allows fp16 too, which is what runs the layers without QuantizeLinear fast.
    """
    if precision == "fp32":
        return
    config.set_flag(trt.BuilderFlag.FP16)
    if precision == "int8":
        config.set_flag(trt.BuilderFlag.INT8)
    types = graph_types(network)
    if "HALF" not in types.values():
        return
    # A graph with fp16 in it keeps fp32 where fp16 would overflow. "Prefer" and not "obey": a layer
    # that exists in one precision only shall not end the build.
    config.set_flag(trt.BuilderFlag.PREFER_PRECISION_CONSTRAINTS)
    for index, dtype in types.items():
        network.get_layer(index).precision = getattr(trt.DataType, dtype)


# They compute on shapes or move what they get, and TensorRT takes no precision for them.
_TYPELESS = {"SHAPE", "IDENTITY", "SHUFFLE", "SLICE", "GATHER", "ASSERTION", "CONDITION"}


def graph_types(network: Any) -> dict[int, str]:
    """Return the types of an ONNX graph's floating-point layers: "FLOAT" or "HALF", by index.

    A network that is not strongly typed calls all it computes FLOAT. But its constants, casts and
    inputs say what they are, and a layer has the type of what it is given.
    """
    images = map(network.get_input, range(network.num_inputs))
    known = {image.name: image.dtype.name for image in images}
    types = {}
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        inputs = [layer.get_input(i) for i in range(layer.num_inputs)]
        given = [known.get(tensor.name, "") for tensor in inputs if tensor is not None]
        kind = layer.type.name
        if kind in ("CONSTANT", "CAST", "QUANTIZE"):
            dtype = layer.get_output_type(0).name
        elif kind == "DEQUANTIZE":
            dtype = given[1]  # that of its scale
        else:
            dtype = next((name for name in given if name in ("FLOAT", "HALF")), "")
            if dtype and kind not in _TYPELESS:
                types[index] = dtype
        for i in range(layer.num_outputs):
            known[layer.get_output(i).name] = dtype or layer.get_output_type(i).name
    return types


def load_timing_cache(config: Any, path: Path) -> None:
    """Give a configuration the times in a file; leave a cache that does not fit."""
    data = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(data)
    if cache is None or not config.set_timing_cache(cache, False):
        log.warning("%s is no timing cache of this GPU and TensorRT: measuring anew", path)
        config.set_timing_cache(config.create_timing_cache(b""), False)


def save_timing_cache(config: Any, path: Path) -> None:
    """Write the times that a build measured.

    Raises:
        OutputError: the file cannot be written.
    """
    write_whole(path, bytes(config.get_timing_cache().serialize()))


def offered_capabilities(trt: ModuleType) -> dict[str, Any]:
    """Return the compute capabilities that a module builds for ahead of time, by "8.9" and such."""
    members = trt.ComputeCapability.__members__.items()
    return {with_point(name): member for name, member in members if name.startswith("SM")}


def with_point(capability: str) -> str:
    """Return a compute capability such as "89", "sm_89" or "8.9" as "8.9"."""
    digits = capability.lower().removeprefix("sm").removeprefix("_")
    return digits if "." in digits else f"{digits[:-1]}.{digits[-1:]}"
