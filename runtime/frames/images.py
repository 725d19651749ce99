"""Images from files and from callers' arrays, all as H x W x 3 uint8 BGR."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import InputError, SourceError
from edgecount.runtime.frames.opencv import load_cv2, quiet_cv2
from edgecount.runtime.frames.truncation import find_truncation

_DLPACK_CUDA = (2, 13)  # device memory, and managed memory

_EXPECTED = "expected a uint8 array of shape (height, width, 3) in BGR order"


def read_image(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """Decode an image file.

    The EXIF orientation is applied, grey becomes three equal channels, alpha is dropped, and 16
    bits become 8 by rounding value / 257. Of a file with several pages the first is read.

    Args:
        path: the file; its content decides the format, not its name.

    Returns:
        uint8 (H, W, 3), BGR, C-contiguous.

    Raises:
        SourceError: the file is missing, a folder, empty, unreadable, truncated or no image.
    """
    file = Path(path)
    data = read_file(file)
    cut = find_truncation(data)
    if cut is not None:
        raise SourceError(f"{file} is truncated: {cut}; copy or download it again")
    cv2 = load_cv2()
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    with quiet_cv2:
        try:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            raise SourceError(f"cannot decode {file}: {error.err}") from None
    if image is None:
        raise SourceError(
            f"{file} is not an image that can be decoded, or is damaged; the frames of a video "
            "come from stream()"
        )
    try:
        return as_bgr(image)
    except InputError as error:
        raise SourceError(f"{file}: {error}") from None


def as_bgr(frame: Any) -> NDArray[np.uint8]:
    """Return a caller's frame as uint8 BGR, without a copy if it is that already.

    Args:
        frame: an array (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA of dtype uint8, uint16
            (rounded to 8 bits by value / 257) or bool (False 0, True 255), or a PIL image (its
            EXIF orientation is applied). Grey becomes three equal channels; alpha is dropped.

    Returns:
        uint8 (H, W, 3), BGR, with contiguous pixels (rows may lie apart).

    Raises:
        InputError: the frame is of another type, shape or dtype, or has no pixels.
    """
    if lies_on_gpu(frame):
        raise InputError(
            f"{_EXPECTED} in CPU memory, got a {type(frame).__name__} on a GPU, and what counts it "
            "runs on the CPU: copy it first, such as frame.cpu().numpy() or frame.get(), or use a "
            'GPU backend such as backend="tensorrt"'
        )
    if hasattr(frame, "convert") and hasattr(frame, "getexif"):
        frame = _from_pil(frame)
    if not isinstance(frame, np.ndarray):
        hint = ": use .numpy()" if hasattr(frame, "numpy") else ""
        raise InputError(f"{_EXPECTED}, a path or a PIL image, got {type(frame).__name__}{hint}")
    pixels = _three_channels(_eight_bits(frame))
    # The kernel takes rows that lie apart but not flipped ones or pixels with gaps.
    ordered = pixels.strides[1:] == (3, 1) and pixels.strides[0] >= 3 * pixels.shape[1]
    return pixels if ordered else np.ascontiguousarray(pixels)


def lies_on_gpu(frame: Any) -> bool:
    """Return whether an array of another library lies on a GPU."""
    where = getattr(frame, "__dlpack_device__", None)
    if where is not None:
        return int(where()[0]) in _DLPACK_CUDA
    return hasattr(frame, "__cuda_array_interface__")


def shape_of(array: Any) -> tuple[int, ...]:
    """Return the shape of another library's array.

    Raises:
        InputError: the array has none.
    """
    shape = getattr(array, "shape", None)
    if shape is None:
        shape = getattr(array, "__cuda_array_interface__", {}).get("shape")
    if shape is None:
        raise InputError(f"{_EXPECTED}, got a {type(array).__name__} without a shape")
    return tuple(int(side) for side in shape)


def read_file(path: Path, kind: str = "an image", most: int = -1) -> bytes:
    """Return the first ``most`` bytes, by default all, of a file of a kind.

    Raises:
        SourceError: the file is missing, a folder, empty or unreadable.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most)
    except FileNotFoundError:
        raise SourceError(f"no such file: {path}") from None
    except IsADirectoryError:
        raise SourceError(f"{path} is a folder: expected {kind} file") from None
    except PermissionError:
        raise SourceError(f"no permission to read {path}") from None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    if not data:
        raise SourceError(f"{path} is empty (0 bytes)")
    return data


def _from_pil(image: Any) -> NDArray[Any]:
    # Whoever has such an image has PIL.
    from PIL import ImageOps  # type: ignore[import-not-found, unused-ignore]

    upright: Any = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # PIL clips 16-bit grey to 255 when it converts to RGB.
        values = np.asarray(upright)
        if values.size and not 0 <= values.min() <= values.max() <= 65535:
            raise InputError(f"{_EXPECTED}, got a PIL image with values beyond 16 bits")
        return values.astype(np.uint16)
    if upright.mode == "F":
        raise InputError(f"{_EXPECTED}, got a PIL image of floats (mode F): convert it to 8 bits")
    return np.asarray(upright.convert("RGB"))[:, :, ::-1]


def _eight_bits(frame: NDArray[Any]) -> NDArray[np.uint8]:
    if frame.dtype == np.uint8:
        return frame
    if frame.dtype.type is np.uint16:  # of either byte order
        # 65535 / 255 = 257, and adding half of it rounds to nearest.
        rounded: NDArray[np.uint8] = ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
        return rounded
    if frame.dtype == np.bool_:
        return np.where(frame, 255, 0).astype(np.uint8)
    raise InputError(
        f"{_EXPECTED}, got {frame.dtype}: scale the values to 0..255 and use .astype(numpy.uint8)"
    )


def _three_channels(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if frame.ndim == 2:
        frame = frame[:, :, None]
    if frame.ndim != 3 or frame.shape[2] not in (1, 3, 4):
        turned = frame.ndim == 3 and frame.shape[0] in (1, 3, 4)
        hint = ": channels come last, use frame.transpose(1, 2, 0)" if turned else ""
        raise InputError(f"{_EXPECTED}, got shape {frame.shape}{hint}")
    if frame.size == 0:
        raise InputError(f"{_EXPECTED}, got shape {frame.shape}, which has no pixels")
    if frame.shape[2] == 1:
        return np.repeat(frame, 3, axis=2)
    return frame if frame.shape[2] == 3 else frame[:, :, :3]
