"""The record of a build, and the sidecar that goes beside its engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgecount._files import write_whole
from edgecount.runtime.models.sidecar import EngineSidecar, InputShapes, sidecar_path

if TYPE_CHECKING:
    from edgecount.export.options import EngineOptions
    from edgecount.export.tensorrt.network import TensorRecord
    from edgecount.manifest import Manifest

_OPTIONS = (
    "workspace",
    "dla_core",
    "hardware_compatible",
    "same_capability",
    "version_compatible",
    "fp16_input",
)


@dataclass(frozen=True)
class EngineRecord:
    """An engine that was built.

    Attributes:
        path: the file.
        size: its size in bytes.
        sha256: its hash.
        onnx_sha256: hash of the ONNX file that it was built from.
        seconds: time of parsing and building.
        version: version of TensorRT, in full.
        compute_capabilities: the GPUs that it runs on; "8.0+" is 8.0 and all newer ones, of
            TensorRT less Jetsons.
        device: name of the GPU that it was built on; None: built without one.
        driver: newest CUDA version that the driver knows; None: built without one.
        shapes: min, opt and max shape of the image tensor.
        tensors: inputs and outputs.
        typed: whether the types of the graph bind the engine.
        layers: number of layers that multiply by precision, such as {"fp16": 20, "fp32": 2}, in
            the network if `typed`, else in the engine.
        engine_layers: number of layers by precision as the engine reports them; None where it
            could not be loaded, as without a GPU.
        options: the options that it was built with.
        platform: operating system and CPU that it runs on; None: any that its library runs on.
    """

    path: Path
    size: int
    sha256: str
    onnx_sha256: str
    seconds: float
    version: str
    compute_capabilities: tuple[str, ...]
    device: str | None
    driver: str | None
    shapes: InputShapes
    tensors: tuple[TensorRecord, ...]
    typed: bool
    layers: dict[str, int]
    engine_layers: dict[str, int] | None
    options: EngineOptions
    platform: str | None


def make_sidecar(
    record: EngineRecord, manifest: Manifest, *, overridden: bool = False
) -> EngineSidecar:
    """Make the sidecar of an engine; ``overridden``: the user kept it though a gate refused it."""
    from edgecount import __version__

    options = record.options
    return EngineSidecar(
        manifest=manifest,
        onnx_sha256=record.onnx_sha256,
        plan_sha256=record.sha256,
        precision=options.precision,
        shapes=record.shapes,
        backend=options.target,
        version=record.version,
        compute_capabilities=record.compute_capabilities,
        created_by=__version__,
        device=record.device,
        driver=record.driver,
        layers=record.layers,
        options={name: getattr(options, name) for name in _OPTIONS},
        overridden=overridden,
        platform=record.platform,
    )


def write_sidecar(engine: Path, sidecar: EngineSidecar) -> Path:
    """Write a sidecar beside its engine.

    Raises:
        OutputError: it cannot be written.
    """
    path = sidecar_path(engine)
    write_whole(path, sidecar.to_json().encode())
    return path
