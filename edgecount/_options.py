"""Checks of the options of `EdgeCounter`."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Literal

from edgecount._numbers import is_finite, is_number
from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from edgecount.manifest import Manifest

MODEL_DEFAULT: Literal["model"] = "model"

NATIVE_SIZE: Literal["native"] = "native"

ENGINES = (
    *("auto", "tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "onnxruntime"),
    *("openvino", "openvino-gpu", "openvino-npu"),
)
"""Names of backends that run a model."""

BACKENDS = (*ENGINES, "fake")
"""All names of backends: one needs no model, and messages do not offer it."""

MAX_PIXELS = 250_000_000
"""Most pixels of an image file, unless more are allowed: 750 MB as 8-bit BGR."""

MOST_THREADS = 1024
"""More than any CPU has cores; starting a hundred thousand takes minutes."""

MOST_ZOOM = 2
"""Most times that a frame is zoomed into: each takes some ten times as long as the one before."""

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
"""Kinds of numbers that an engine can be asked to compute in."""


def check_backend(name: object) -> None:
    """Refuse what is the name of no backend."""
    if name not in BACKENDS:
        close = difflib.get_close_matches(str(name).lower(), ENGINES, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"backend: expected one of {', '.join(ENGINES)}, got {name!r}{hint}")


def check_precision(precision: str) -> None:
    """Refuse a precision that is none of `PRECISIONS`."""
    if precision not in PRECISIONS:
        raise ConfigError(f"precision: expected one of {', '.join(PRECISIONS)}, got {precision!r}")


def check_threshold(threshold: float | None, manifest: Manifest) -> float:
    """Return the threshold, a score in [0, 1); for None the model's."""
    if threshold is None:
        return manifest.postprocess.threshold
    if not is_finite(threshold) or not 0 <= threshold < 1:
        raise ConfigError(f"threshold: expected a number in [0, 1), got {threshold!r}")
    check_heads("threshold", manifest)
    return float(threshold) + 0.0  # -0.0 is 0.0


def finds_heads(manifest: Manifest) -> bool:
    """Return whether a model finds single heads, which have scores."""
    return manifest.output("heatmap") is not None or manifest.output("scores") is not None


def check_heads(option: str, manifest: Manifest) -> None:
    """Refuse a model that finds no heads, for an option that is about their scores."""
    if not finds_heads(manifest):
        raise ConfigError(
            f"{option}: expected a model with a heatmap or boxes, whose heads have scores; "
            f"{manifest.name} gives {_roles(manifest)}"
        )


def check_max_side(max_side: int | str | None, manifest: Manifest) -> int | None:
    """Return the longest side in pixels, or None for no limit ("native"); for "model" its own."""
    if max_side == MODEL_DEFAULT:
        return manifest.input.max_side
    if max_side is None or max_side == NATIVE_SIZE:
        return None
    if isinstance(max_side, str) or not is_number(max_side, Integral) or max_side < 1:
        raise ConfigError(
            'max_side: expected a whole number of pixels, "model", "native" or None, got '
            f"{max_side!r}"
        )
    return int(max_side)


def check_capacity(capacity: int | None) -> int:
    """Return the largest number of points; for None 0, which means no limit."""
    if capacity is None:
        return 0
    if not is_number(capacity, Integral) or capacity < 1:
        raise ConfigError(
            f"capacity: expected a whole number, 1 or more, or None for no limit, got {capacity!r}"
        )
    return int(capacity)


def check_zoom(zoom: int, manifest: Manifest) -> int:
    """Return the number of enlargements, which only models with a heatmap can use."""
    if not is_number(zoom, Integral) or not 0 <= zoom <= MOST_ZOOM:
        raise ConfigError(f"zoom: expected a whole number from 0 to {MOST_ZOOM}, got {zoom!r}")
    if zoom and manifest.output("heatmap") is None:
        raise ConfigError(
            f"zoom: expected a model with a heatmap, whose points can be searched for again; "
            f"{manifest.name} gives {_roles(manifest)}"
        )
    return int(zoom)


def check_flag(name: str, value: object, expected: str = "True or False") -> bool:
    """Return an option that is on or off; "no" and "false" are neither.

    Raises:
        ConfigError: it is neither True nor False.
    """
    try:
        known = value in {True, False}  # NumPy's are equal to Python's
    except TypeError:  # it cannot be hashed, as a list
        known = False
    if not known:
        raise ConfigError(f"{name}: expected {expected}, got {value!r}")
    return bool(value)


def check_max_pixels(max_pixels: int) -> int:
    """Return the largest number of pixels of an image file."""
    if not is_number(max_pixels, Integral) or max_pixels < 1:
        raise ConfigError(f"max_pixels: expected a whole number, 1 or more, got {max_pixels!r}")
    return int(max_pixels)


def check_threads(threads: int | None) -> None:
    """Refuse a number of threads that is neither None nor a whole number from 1 to the most."""
    if threads is not None and not (is_number(threads, Integral) and 1 <= threads <= MOST_THREADS):
        raise ConfigError(
            f"threads: expected a number from 1 to {MOST_THREADS}, or None for all cores, "
            f"got {threads!r}"
        )


def check_workers(workers: int | None) -> None:
    """Refuse a number of workers that is neither None nor a whole number from 1 to the most."""
    if workers is not None and not (is_number(workers, Integral) and 1 <= workers <= MOST_THREADS):
        raise ConfigError(
            f"workers: expected a number from 1 to {MOST_THREADS}, or None for what suits the "
            f"engine, got {workers!r}"
        )


def check_device(device: int | Sequence[int] | None, backend: object) -> tuple[int | None, ...]:
    """Return the numbers of the GPUs that a counter uses; None alone: whichever the engine takes.

    Args:
        device: a number, several different ones, or None.
        backend: a name, or a backend of the caller's, which is on one GPU already.
    """
    if device is None:
        return (None,)
    numbers = device if isinstance(device, Sequence) else (device,)
    if (
        not numbers
        or not all(is_number(number, Integral) and number >= 0 for number in numbers)
        or len(set(numbers)) < len(numbers)
    ):
        raise ConfigError(
            "device: expected the number of a GPU, 0 or more, several different ones, or None, got "
            f"{device!r}"
        )
    if len(numbers) > 1 and not isinstance(backend, str):
        raise ConfigError(
            f"device: expected one GPU with a backend of your own, got {device!r}: name a backend "
            "such as 'tensorrt', which is opened on each"
        )
    return tuple(int(number) for number in numbers)


def _roles(manifest: Manifest) -> str:
    return " and ".join(dict.fromkeys(output.role for output in manifest.outputs))
