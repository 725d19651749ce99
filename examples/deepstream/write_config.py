"""Write nvinfer's configuration for a model of edgecount, and put the ONNX file beside it.

python write_config.py edgecount-s --input 736x1280 --batch 4
"""

from __future__ import annotations

import argparse
import re
import shutil
from pathlib import Path

from edgecount.errors import EdgeCountError
from edgecount.runtime.models.open import open_model

TEMPLATE = """\
# nvinfer for {model}, written by write_config.py; count_streams.py counts the maps that it gives.
[property]
gpu-id=0
gie-unique-id=1
onnx-file={onnx}
model-engine-file={onnx}_b{batch}_gpu0_{precision}.engine
batch-size={batch}
# 0: FP32, 2: FP16
network-mode={mode}
infer-dims=3;{height};{width}
# Pixels become net-scale-factor * (pixel - offset), in RGB (0) or BGR (1).
net-scale-factor={scale:.17g}
offsets={offsets}
model-color-format={color}
# The frame keeps its shape, at the top left; what is left is black, as edgecount pads.
maintain-aspect-ratio=1
symmetric-padding=0
# bilinear
scaling-filter=1
# Whole frames, all of them.
process-mode=1
interval=0
# Another network than DeepStream knows: its tensors are handed on as they are.
network-type=100
output-tensor-meta=1
"""


def config_of(model: str, size: tuple[int, int], batch: int, *, fp16: bool) -> str:
    """Return the configuration for a model, and (height, width) in pixels."""
    spec = open_model(model).manifest.input
    if len(set(spec.scale)) > 1:
        raise SystemExit(f"{model} scales each channel by itself, and nvinfer has one factor")
    if any(side % spec.multiple for side in size):
        raise SystemExit(f"--input: expected multiples of {spec.multiple}, got {size}")
    return TEMPLATE.format(
        model=Path(model).stem,
        onnx=f"{Path(model).stem}.onnx",
        precision="fp16" if fp16 else "fp32",
        mode=2 if fp16 else 0,
        batch=batch,
        height=size[0],
        width=size[1],
        scale=spec.scale[0],
        offsets=";".join(f"{mean:g}" for mean in spec.mean),
        color=0 if spec.channels == "RGB" else 1,
    )


def parse_size(text: str) -> tuple[int, int]:
    """Return (736, 1280) for "736x1280".

    Raises:
        argparse.ArgumentTypeError: it is no such text.
    """
    match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH, such as 736x1280, got {text!r}")
    return int(match[1]), int(match[2])


def main() -> None:
    """Write the files into the current folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="name of a bundled model, or an .onnx file")
    parser.add_argument(
        "--input", type=parse_size, default=(736, 1280), help="height x width in pixels [736x1280]"
    )
    parser.add_argument("--batch", type=int, default=1, help="number of streams")
    parser.add_argument("--fp16", action="store_true", help="compute in half precision")
    given = parser.parse_args()
    if given.batch < 1:
        parser.error(f"--batch: expected 1 or more, got {given.batch}")
    try:
        text = config_of(given.model, given.input, given.batch, fp16=given.fp16)
        source = open_model(given.model).path
    except EdgeCountError as error:
        parser.error(str(error))
    name = Path(given.model).stem
    if source is None or source.suffix != ".onnx":
        parser.error(f"{given.model}: expected an .onnx file, of which nvinfer builds its engine")
    target = Path(f"{name}.onnx")
    if not (target.exists() and target.samefile(source)):
        shutil.copyfile(source, target)
    Path(f"config_infer_{name}.txt").write_text(text)
    print(f"config_infer_{name}.txt and {target} are there")


if __name__ == "__main__":
    main()
