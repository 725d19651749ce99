"""Parse an ONNX file into TensorRT's network, with the reasons where that fails."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from edgecount.errors import BackendError, ConfigError, ModelError
from edgecount.runtime.backends.tensorrt.library import dtype_name
from edgecount.runtime.models.sidecar import InputShapes

if TYPE_CHECKING:
    from edgecount.runtime.backends.tensorrt.library import Features
    from edgecount.runtime.backends.tensorrt.logger import TensorRTLog


class TensorRecord(NamedTuple):
    """An input or output of an engine.

    Attributes:
        name: its name in the graph.
        mode: "input" or "output".
        dtype: element type, such as "float32".
        shape: its sides, -1 where they are dynamic.
    """

    name: str
    mode: str
    dtype: str
    shape: tuple[int, ...]


class ParsedNetwork(NamedTuple):
    """A network with the parser that owns its weights: keep both until the build is done."""

    network: Any
    parser: Any


def parse_onnx(
    trt: ModuleType,
    features: Features,
    builder: Any,
    log: TensorRTLog,
    *,
    path: Path,
    data: bytes,
    typed: bool,
) -> ParsedNetwork:
    """Read the content of an ONNX file into a new network, which keeps its types where ``typed``.

    Its path is for messages, and for weights that are stored beside it.

    Raises:
        ModelError: the file is no ONNX, or not one with one image tensor.
        BackendError: TensorRT cannot run it; the message names operators and nodes.
    """
    network = builder.create_network(_creation_flags(trt, features, typed))
    parser = trt.OnnxParser(network, log.logger)
    if not parser.parse(data, str(path)):
        raise _refused(features, parser, log.problems, path)
    # An empty file is a valid protobuf without a graph, and the parser is content with it.
    if network.num_outputs == 0 or network.num_layers == 0:
        raise ModelError(f"{path} is not an ONNX model, or has no outputs")
    if network.num_inputs != 1 or len(network.get_input(0).shape) != 4:
        inputs = [f"{t.name} {t.shape}" for t in tensors_of(network) if t.mode == "input"]
        raise ModelError(
            f"{path}: expected one input of shape (B, 3, H, W), got {', '.join(inputs) or 'none'}"
        )
    return ParsedNetwork(network, parser)


def _creation_flags(trt: ModuleType, features: Features, typed: bool) -> int:
    flags = trt.NetworkDefinitionCreationFlag
    if typed:
        return 1 << int(flags.STRONGLY_TYPED) if features.strongly_typed else 0
    return 1 << int(flags.EXPLICIT_BATCH) if features.explicit_batch else 0


def _refused(features: Features, parser: Any, problems: list[str], path: Path) -> Exception:
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    if any(error.code().name == "MODEL_DESERIALIZE_FAILED" for error in errors):
        return ModelError(f"{path} is not an ONNX model, or is damaged")
    if features.parser_nodes:
        nodes = [(error.node_operator(), error.node_name()) for error in errors]
    else:
        # TensorRT 8 names the operator in its log only.
        found = (re.search(r'node number (\d+) \[(\w+) -> "', line) for line in problems)
        nodes = [(match[2], f"node {match[1]}") for match in found if match]
    by_operator: dict[str, list[str]] = {}
    for operator, name in nodes:
        if operator:
            by_operator.setdefault(operator, []).append(name or "without a name")
    named = "; ".join(f"{op} ({', '.join(names)})" for op, names in by_operator.items())
    reasons = dict.fromkeys(error.desc() for error in errors if error.desc() != "false")
    said = "; ".join([*reasons][:5])
    return BackendError(
        f"TensorRT cannot run {path}: "
        + f"operators that it does not support, or not as they are used here: {named}" * bool(named)
        + (f" ({said})" if named and said else said)
        + "; export the model anew without them, or with `target=onnx` for ONNX Runtime alone"
    )


def tensors_of(network: Any) -> tuple[TensorRecord, ...]:
    """Return inputs and outputs of a network, in its order."""
    tensors = [("input", network.get_input(index)) for index in range(network.num_inputs)]
    tensors += [("output", network.get_output(index)) for index in range(network.num_outputs)]
    return tuple(
        TensorRecord(tensor.name, mode, dtype_name(tensor.dtype), tuple(tensor.shape))
        for mode, tensor in tensors
    )


def check_shapes(image: TensorRecord, shapes: InputShapes | None) -> InputShapes:
    """Return the shapes to build for, given what the graph allows.

    Raises:
        ConfigError: the graph is dynamic and no shapes were given, or they do not fit it.
    """
    if shapes is None:
        if -1 in image.shape:
            raise ConfigError(
                f"shapes: expected min, opt and max (B, 3, H, W), because the input {image.name} "
                f"is dynamic {image.shape}, got none"
            )
        batch, channels, height, width = image.shape
        return InputShapes.static((batch, channels, height, width))
    for shape in (shapes.min, shapes.opt, shapes.max):
        if any(own not in (-1, side) for own, side in zip(image.shape, shape, strict=True)):
            raise ConfigError(
                f"shapes: expected {image.shape} as the input {image.name} has it (-1: any), got "
                f"{shape}: give other sizes, or another `batch`"
            )
    return shapes


_MEMORY = re.compile(
    r"out ?of ?memory|insufficient (gpu |device )?memory|memory ?allocation|bad_alloc|allocate",
    re.IGNORECASE,
)

# A layer is said to have no implementation when each one wants more scratch memory than there is.
_NO_KERNEL = re.compile(r"workspace|no tactics|find any implementation", re.IGNORECASE)


def failure(what: str, problems: Sequence[str], workspace: int | None) -> BackendError:
    """Return the error for a build that failed: TensorRT writes its reasons to its log only.

    ``what`` failed ("TensorRT 10.3.0 could not build the engine"), with these errors in the log and
    this cap on scratch memory in MiB.
    """
    said = "; ".join(problems[-5:]) or "it gave no reason"
    no_kernel = bool(_NO_KERNEL.search(said))
    if no_kernel and workspace is not None:
        advice = (
            f"a `workspace` of {workspace} MiB is too little for some layer: give more, or leave "
            "it out"
        )
    elif no_kernel or _MEMORY.search(said):
        cap = f"below {workspace} MiB" if workspace else "such as 1024 MiB"
        advice = (
            "there was too little memory: end other programs that use the GPU, make the largest "
            f"size smaller (`profile`), or give a `workspace` {cap}"
        )
    else:
        advice = "its log, at level DEBUG of edgecount.runtime, says more"
    return BackendError(f"{what} ({said}): {advice}")
