"""ImageNet weights of the backbones: the files in which their authors publish them."""

from __future__ import annotations

from pathlib import Path

# By the start of a file's name, in any case; the first that fits.
_PUBLISHED = {
    "vgg16": "torchvision's vgg16-397923af.pth",
    "resnet50": "torchvision's resnet50-0676ba61.pth",
    "mobilenet_v2": "torchvision's mobilenet_v2-b0353104.pth",
    "shufflenet_v2_x0.5": "torchvision's shufflenetv2_x0.5-f707e7126e.pth",
    "dla34": "DLA-34's authors' dla34-ba72cf86.pth",
    "efficientnet_lite0": "EfficientNet-Lite0's authors' weights as arrays",
}


def published_as(path: Path) -> str:
    """Return which weights a file is meant to have, and where they are published."""
    name = path.name.lower()
    fitting = (text for start, text in _PUBLISHED.items() if name.startswith(start))
    return next(fitting, "ImageNet weights of the backbone with torchvision's names")


def find_weights(path: Path) -> list[Path]:
    """Return the files of weights that a path or a pattern such as ``lite0_*.npz`` names."""
    return sorted(path.parent.glob(path.name)) if path.parent.is_dir() else []
