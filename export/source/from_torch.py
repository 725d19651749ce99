"""Export a trained network as one ONNX file with its manifest inside."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgecount._files import write_whole
from edgecount._telemetry import refuse_reports
from edgecount.errors import BackendError
from edgecount.export.defaults import OPSET
from edgecount.export.extras import missing
from edgecount.export.source.external_data import check_size
from edgecount.manifest import METADATA_KEY, InputSpec, Manifest

if TYPE_CHECKING:
    import onnx
    from torch import nn

    from edgecount.train.models.base import Network

log = logging.getLogger(__name__)

# The oldest that torch's exporter writes itself; the conversion down is ONNX's own, and explicit,
# because torch's leaves the newer opset in place without an error when it fails.
_TRACED_OPSET = 18
# Shares of a map's largest value. Two libraries add float32 in different orders: what is below the
# first share is never looked at closer, and above the second no export passes.
_TOLERANCE = 1e-4
_MOST = 1e-3
_FLOOR = 1e-3
# Between the two the file may be this many times as far from float64 as PyTorch's float32 is.
# Measured on random weights ONNX Runtime's rounding is 0.6 to 1.5 times PyTorch's; what a wrong
# export adds does not depend on rounding, and is as large in float64.
_ROUNDING = 8.0


def check_onnx() -> None:
    """Refuse an export for which packages are missing, before the long work.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
    """
    refuse_reports()
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401  (for the comparison)
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise missing(str(error.name), "export", "to export models") from error


def export_onnx(network: Network, manifest: Manifest, path: Path) -> None:
    """Write ``network`` as float32 ONNX, opset 17, any batch and size, with ``manifest`` inside.

    The file is compared with PyTorch at two input sizes before it gets its name.

    Args:
        network: its ``deploy`` gives the manifest's outputs, in their order.
        manifest: describes them.
        path: the file to write; replaced if it is there.

    Raises:
        MissingExtraError: onnx, onnxscript or onnxruntime is not installed.
        ModelError: the network is larger than an ONNX file can be.
        BackendError: ONNX Runtime's outputs differ from PyTorch's.
        OutputError: the file cannot be written.
    """
    check_onnx()
    import onnx

    weights = network.state_dict().values()
    check_size(manifest.name, sum(weight.numel() * weight.element_size() for weight in weights))
    model = _trace(network, manifest)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, manifest.to_json()
    onnx.checker.check_model(model, full_check=True)
    serialized = model.SerializeToString()
    _compare(network, serialized, manifest)
    write_whole(path, serialized)
    log.info("wrote %s, %.1f MB", path, len(serialized) / 1e6)


def export_checkpoint(checkpoint: Path, out: Path) -> Manifest:
    """Write the averaged weights of a run's ``best.pt`` or ``last.pt`` as an ONNX file.

    Returns:
        The manifest that it carries.

    Raises:
        ModelError: the checkpoint cannot be read.
        MissingExtraError: torch or onnx is not installed.
        OutputError: ``out`` cannot be written.
    """
    try:
        from edgecount.train.checkpoint import load_network
        from edgecount.train.manifest import manifest_of
        from edgecount.train.unfinished import tell_what_lacks
    except ImportError as error:
        raise missing(str(error.name), "export", "to read checkpoints") from error
    network, state = load_network(checkpoint)
    manifest = manifest_of(network, state)
    tell_what_lacks(checkpoint, state, manifest)
    export_onnx(network, manifest, out)
    return manifest


def _trace(network: Network, manifest: Manifest) -> onnx.ModelProto:
    import onnx.version_converter
    import torch

    from edgecount.train.models.fold import fold_batch_norm

    multiple = manifest.input.multiple
    rows, columns = (torch.export.Dim(name, min=2, max=512) for name in ("rows", "columns"))
    batch = torch.export.Dim("batch", min=1, max=1024)
    wrapped = _deployable(fold_batch_norm(network))
    example = torch.zeros(2, 3, 3 * multiple, 4 * multiple)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), _only_errors("torch.onnx"):
        warnings.simplefilter("ignore")  # torch's exporter talks of its internals and torchvision
        program = torch.onnx.export(
            wrapped,
            (example,),
            dynamo=True,
            opset_version=_TRACED_OPSET,
            external_data=False,
            input_names=[manifest.input.name],
            output_names=[output.name for output in manifest.outputs],
            dynamic_shapes={"image": {0: batch, 2: multiple * rows, 3: multiple * columns}},
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    _drop_new_defaults(model.graph)
    model = onnx.version_converter.convert_version(model, OPSET)
    return onnx.shape_inference.infer_shapes(model)


def _drop_new_defaults(graph: onnx.GraphProto) -> None:
    """Remove an attribute of opset 18's reductions that the converter leaves on older nodes.

    torch writes it with its default, 0, which says what the older operators do.
    """
    for node in graph.node:
        kept = [a for a in node.attribute if a.name != "noop_with_empty_axes" or a.i]
        if len(kept) < len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)


@contextmanager
def _only_errors(name: str) -> Iterator[None]:
    """Hold a logger to errors; its level comes back however the block ends."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _deployable(network: Network) -> nn.Module:
    """Return the network with the activations that the manifest promises, giving a tuple."""
    from torch import Tensor, nn

    class Deployable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Tensor) -> tuple[Tensor, ...]:
            return network.deploy(self.network(image))

    return Deployable().eval()


def _compare(network: Network, serialized: bytes, manifest: Manifest) -> None:
    """Run the ONNX file and the network on pixels at two sizes.

    The tolerance is relative to each map's largest value, with a floor far below what counts: the
    density of a pixel may be a thousandth of a person everywhere. Where a network magnifies
    rounding, as deformable convolutions do, float64 decides whether there is more than that.
    """
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(serialized, providers=["CPUExecutionProvider"])
    network.eval()
    multiple = manifest.input.multiple
    names = [output.name for output in manifest.outputs]
    for batch, height, width in ((1, 2 * multiple, 3 * multiple), (2, 5 * multiple, 4 * multiple)):
        image = _pixels(manifest.input, batch, height, width)
        with torch.no_grad():
            maps = _deployable(network)(torch.from_numpy(image))
        ours = dict(zip(names, (values.numpy() for values in maps), strict=True))
        theirs = dict(zip(names, session.run(names, {manifest.input.name: image}), strict=True))
        far = [name for name in names if not _share(theirs[name], ours[name]) <= _TOLERANCE]
        exact = dict(zip(names, _in_float64(network, image), strict=True)) if far else {}
        for name in far:
            rounding = _share(ours[name], exact[name])
            share = _share(theirs[name], exact[name])
            if not share <= min(_ROUNDING * rounding, _MOST):
                raise BackendError(
                    f"the exported {name} differs from PyTorch's at {height}x{width}: by "
                    f"{share:.2g} of its largest value from what float64 gives, where PyTorch's "
                    f"own float32 differs by {rounding:.2g}"
                )


def _share(values: NDArray[Any], expected: NDArray[Any]) -> float:
    """Return the largest difference of two maps as a share of the largest value expected."""
    difference = np.abs(values.astype(np.float64) - expected).max()
    return float(difference / max(np.abs(expected).max(), _FLOOR))


def _in_float64(network: Network, image: NDArray[np.float32]) -> list[NDArray[np.float64]]:
    """Return the network's maps without the rounding of float32."""
    import torch

    exact = copy.deepcopy(network).double().eval()
    with torch.no_grad():
        maps = _deployable(exact)(torch.from_numpy(image.astype(np.float64)))
    return [values.numpy() for values in maps]


def _pixels(spec: InputSpec, batch: int, height: int, width: int) -> NDArray[np.float32]:
    """Return random pixels (B, 3, H, W), normalised for the network."""
    pixels = np.random.default_rng(height).integers(0, 256, (batch, 3, height, width))
    mean, scale = (np.array(v, np.float32)[:, None, None] for v in (spec.mean, spec.scale))
    normalised: NDArray[np.float32] = (pixels.astype(np.float32) - mean) * scale
    return normalised
