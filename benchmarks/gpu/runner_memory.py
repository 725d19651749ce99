"""How much memory a runner takes on a board, computed: no GPU is needed, and none is asked.

    python benchmarks/gpu/runner_memory.py [MODEL ...]

Frames, inputs and maps are counted from their shapes. What the engine computes in, and its weights,
are what the builder of TensorRT for RTX states of a float16 engine for compute capability 8.6, the
nearest to a Jetson Orin's 8.7 that builds without a GPU (`pip install ".[engine,rtx]"`).
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from edgecount.manifest import METADATA_KEY, Manifest
from edgecount.models import model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

# (height, width) of the frames and of the engine's input.
SIZES = {
    "1280 x 720, shrunk": ((720, 1280), (480, 640)),
    "1280 x 720": ((720, 1280), (736, 1280)),
    "1920 x 1080": ((1080, 1920), (1088, 1920)),
}
BATCHES = (1, 4)
_MB = 1e6


def buffer_bytes(
    manifest: Manifest, frame: tuple[int, int], size: tuple[int, int], batch: int
) -> dict[str, int]:
    """Return the bytes of a runner's buffers on a GPU that shares the CPU's memory.

    Args:
        manifest: the model's.
        frame: (height, width) of the frames, which are BGR and lie in the host's memory.
        size: (height, width) of the network's input.
        batch: frames of a run.
    """
    # Pinned memory, which the GPU reads where it lies; frames that are shrunk are read several
    # times, so that they are copied for it.
    copies = 2 if size[0] < frame[0] or size[1] < frame[1] else 1
    cells = {out.name: _cells(size, out.stride) for out in manifest.outputs}
    maps = sum(4 * out.channels * cells[out.name] for out in manifest.outputs)
    kept = sum(4 * cells[out.name] for out in manifest.outputs if out.role == "density")
    return {
        "frames": batch * copies * 3 * frame[0] * frame[1],
        "input": batch * 4 * 3 * size[0] * size[1],
        "maps and results": batch * (maps + kept),
    }


def _cells(size: tuple[int, int], stride: int) -> int:
    return (size[0] // stride) * (size[1] // stride)


def engine_bytes(model: bytes, name: str, shape: tuple[int, int, int, int]) -> dict[str, int]:
    """Build a float16 engine of one shape (B, 3, H, W), and return what the builder states of it.

    Args:
        model: the ONNX file, in float32.
        name: the input's name.
        shape: of the input.
    """
    import onnx  # noqa: PLC0415
    import tensorrt_rtx_bindings as trt  # noqa: PLC0415

    from edgecount.export.precision.fp16 import to_fp16  # noqa: PLC0415

    said: list[str] = []

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, _severity: Any, message: str) -> None:
            said.append(message)

    log = Log()
    builder = trt.Builder(log)
    typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network, config = builder.create_network(typed), builder.create_builder_config()
    parser = trt.OnnxParser(network, log)
    if not parser.parse(to_fp16(onnx.load_from_string(model)).SerializeToString()):
        raise RuntimeError(f"the ONNX file was not read: {parser.get_error(0).desc()}")
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    profile = builder.create_optimization_profile()
    profile.set_shape(name, shape, shape, shape)
    config.add_optimization_profile(profile)
    if builder.build_serialized_network(network, config) is None:
        raise RuntimeError(f"no engine was built: {said[-1]}")
    stated = dict(re.findall(r"^Total (Activation|Weights) Memory: (\d+)", "\n".join(said), re.M))
    return {"computing": int(stated["Activation"]), "weights": int(stated["Weights"])}


def rows(model: str) -> Iterator[list[str]]:
    """Yield a row for each size and batch: the parts and their sums, in MB."""
    import onnx  # noqa: PLC0415

    data = model_path(model).read_bytes()
    notes = {entry.key: entry.value for entry in onnx.load_from_string(data).metadata_props}
    manifest = Manifest.from_json(notes[METADATA_KEY])
    for title, (frame, size) in SIZES.items():
        for batch in BATCHES:
            parts = buffer_bytes(manifest, frame, size, batch)
            stated = engine_bytes(data, manifest.input.name, (batch, 3, *size))
            weights = stated.pop("weights")
            parts |= stated
            runner = sum(parts.values())
            numbers = [*parts.values(), runner, weights, 2 * runner + weights]
            yield [model, title, str(batch), *(f"{number / _MB:.0f}" for number in numbers)]


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("models", nargs="*", default=["edgecount-n", "edgecount-s"])
    options = parser.parse_args()
    head = ["model", "frames", "batch", "frames, MB", "input", "maps and results", "computing"]
    head += ["a runner", "weights", "two runners with weights"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for model in options.models:
        for row in rows(model):
            print(f"| {' | '.join(row)} |", flush=True)


if __name__ == "__main__":
    main()
