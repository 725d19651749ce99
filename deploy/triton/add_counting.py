"""Let a model of a Triton repository count frames on the server.

    python deploy/triton/add_counting.py models/edgecount-s [--limits 256x320:1088x1920]
        [--max-side 1920] [--instances 2]

`edgecount export --triton models/` writes a network, which takes float32 tensors and gives maps.
This adds three models beside it: NAME-preprocess, NAME-postprocess, and the ensemble NAME-count,
which takes a frame, uint8 (H, W, 3) BGR, and gives the count, the points, and on request the
density. The server needs a Python with edgecount: deploy/triton/Dockerfile.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from edgecount.errors import EdgeCountError, OutputError
from edgecount.manifest import Manifest

MODEL = Path(__file__).parent / "model.py"
Limits = Sequence[Sequence[int]]


class Tensor(NamedTuple):
    """A tensor of a model: name, Triton's type without TYPE_, and its axes, -1 for what varies."""

    name: str
    kind: str
    dims: Sequence[int]

    def line(self, what: str) -> str:
        """Return the line of config.pbtxt."""
        dims = ", ".join(map(str, self.dims))
        return f'{what} {{ name: "{self.name}" data_type: TYPE_{self.kind} dims: [ {dims} ] }}'


def results(manifest: Manifest) -> list[Tensor]:
    """Return what the ensemble gives: as `CountResult` has it, of one frame."""
    found = [Tensor("count", "FP32", [1]), Tensor("points", "FP32", [-1, 3])]
    if manifest.postprocess.interval is not None:
        found.append(Tensor("interval", "FP32", [2]))
    if manifest.output("density") is not None:
        found.append(Tensor("density", "FP32", [-1, -1]))
    if manifest.levels():
        found.append(Tensor("boxes", "FP32", [-1, 4]))
    return found


def add_counting(
    folder: Path, *, limits: Limits | None = None, max_side: int | None = None, instances: int = 2
) -> Path:
    """Write the three models beside a network's folder, and return the ensemble's.

    Args:
        folder: the network's, as `edgecount export --triton` wrote it.
        limits: smallest and largest (height, width) that the network's engine takes; None: any, or
            the one size that its config.pbtxt states.
        max_side: longer frames are shrunk to it, in pixels; None: the model's own.
        instances: processes for each step, which is so many frames at once.

    Raises:
        OutputError: the folder is no network of `edgecount export --triton`.
    """
    try:
        manifest = Manifest.from_json((folder / "manifest.json").read_text(encoding="utf-8"))
        stated = (folder / "config.pbtxt").read_text(encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{folder}: expected a model that edgecount export --triton wrote: {error}"
        ) from error
    name, image = folder.name, manifest.input.name
    inside = _inside(stated, manifest)
    limits = limits or _one_size(inside[image].dims)
    parameters = {
        "edgecount_manifest": json.dumps(manifest.to_dict(), allow_nan=False),
        "max_side": str(max_side or manifest.input.max_side),
        "limits": json.dumps(limits),
        "image_type": {"FP32": "float32", "FP16": "float16"}[inside[image].kind],
    }
    frame, size = Tensor("frame", "UINT8", [-1, -1, 3]), Tensor("size", "INT32", [2])
    maps = [inside[output.name]._replace(name=f"map_{output.name}") for output in manifest.outputs]
    given = [inside[image]._replace(name="image"), size]
    before = _step("preprocess", [frame], given, parameters, instances)
    after = _step("postprocess", [size, *maps], results(manifest), parameters, instances)
    for step, text in (("preprocess", before), ("postprocess", after)):
        place = _write(folder.with_name(f"{name}-{step}"), text)
        shutil.copy(MODEL, place / "1" / "model.py")
    return _write(folder.with_name(f"{name}-count"), _ensemble(name, image, manifest))


def _inside(stated: str, manifest: Manifest) -> dict[str, Tensor]:
    """Return the network's tensors by name; of their axes the first is the batch, of one frame."""
    batched = re.search(r"^max_batch_size: 0$", stated, re.MULTILINE) is None
    line = r'name: "([^"]+)" data_type: TYPE_(FP32|FP16) dims: \[ ([-\d, ]+) \]'
    found = {name: (kind, text.split(",")) for name, kind, text in re.findall(line, stated)}
    names = [manifest.input.name, *(output.name for output in manifest.outputs)]
    if missing := [name for name in names if name not in found]:
        raise OutputError(f"config.pbtxt states no tensor {' and none '.join(missing)}")
    tensors = {}
    for name in names:
        kind, axes = found[name]
        sides = [int(side) for side in axes]
        tensors[name] = Tensor(name, kind, [1, *sides] if batched else [1, *sides[1:]])
    return tensors


def _one_size(axes: Sequence[int]) -> Limits | None:
    """Return the size of an input of one size as both limits; None if it varies."""
    return None if -1 in axes[2:] else (tuple(axes[2:]), tuple(axes[2:]))


def _step(
    step: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str],
    instances: int,
) -> str:
    """Return the config.pbtxt of a step, but for the name, which is its folder's."""
    lines = ['backend: "python"', "max_batch_size: 0"]
    lines += [tensor.line("input") for tensor in inputs]
    lines += [tensor.line("output") for tensor in outputs]
    lines.append(f"instance_group {{ kind: KIND_CPU count: {instances} }}")
    for key, value in {"step": step, **parameters}.items():
        lines.append(f'parameters {{ key: "{key}" value {{ string_value: {json.dumps(value)} }} }}')
    return "\n".join(lines) + "\n"


def _ensemble(name: str, image: str, manifest: Manifest) -> str:
    """Return the config.pbtxt of the ensemble, but for its name."""
    maps = {output.name: f"map_{output.name}" for output in manifest.outputs}
    same = {tensor.name: tensor.name for tensor in results(manifest)}
    steps = [
        (
            f"{name}-preprocess",
            {"frame": "frame"},
            {"image": "network_image", "size": "frame_size"},
        ),
        (name, {image: "network_image"}, maps),
        (
            f"{name}-postprocess",
            {"size": "frame_size", **{inner: inner for inner in maps.values()}},
            same,
        ),
    ]
    lines = ['platform: "ensemble"', "max_batch_size: 0"]
    lines.append(Tensor("frame", "UINT8", [-1, -1, 3]).line("input"))
    lines += [tensor.line("output") for tensor in results(manifest)]
    lines.append("ensemble_scheduling {")
    for model, inputs, outputs in steps:
        lines.append(f'  step {{ model_name: "{model}" model_version: -1')
        for what, pairs in (("input_map", inputs), ("output_map", outputs)):
            lines += [f'    {what} {{ key: "{k}" value: "{v}" }}' for k, v in pairs.items()]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _write(folder: Path, text: str) -> Path:
    (folder / "1").mkdir(parents=True, exist_ok=True)
    content = f'name: "{folder.name}"\n{text}'
    (folder / "config.pbtxt").write_text(content, encoding="utf-8")
    return folder


def parse_limits(text: str) -> Limits:
    """Return ((256, 320), (1088, 1920)) for "256x320:1088x1920".

    Raises:
        argparse.ArgumentTypeError: it is no such text.
    """
    match = re.fullmatch(r"(\d+)x(\d+):(\d+)x(\d+)", text)
    sides = [int(side) for side in match.groups()] if match else [0] * 4
    if not (0 < sides[0] <= sides[2] and 0 < sides[1] <= sides[3]):
        wanted = "the smallest and the largest size, height first, such as 256x320:1088x1920"
        raise argparse.ArgumentTypeError(f"expected {wanted}, got {text!r}")
    return (sides[0], sides[1]), (sides[2], sides[3])


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, write the models, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="folder of the network in the repository")
    sizes = "that the engine takes, as it was exported with --input dynamic:SMALLEST:...:LARGEST"
    parser.add_argument("--limits", type=parse_limits, metavar="SMALLEST:LARGEST", help=sizes)
    shrunk = "longer frames are shrunk to it, in pixels [the model's own]"
    parser.add_argument("--max-side", type=int, help=shrunk)
    parser.add_argument("--instances", type=int, default=2, help="processes for each step [2]")
    options = parser.parse_args(arguments)
    for name in ("max_side", "instances"):
        value = getattr(options, name)
        if value is not None and value < 1:
            flag = name.replace("_", "-")
            parser.error(f"--{flag}: expected 1 or more, got {value}")
    try:
        made = add_counting(
            options.model.resolve(),
            limits=options.limits,
            max_side=options.max_side,
            instances=options.instances,
        )
    except EdgeCountError as error:
        print(f"add_counting: {error}", file=sys.stderr)
        return 1
    print(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
