"""Images from files and from callers' arrays, all as H x W x 3 uint8 BGR."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount._options import MAX_PIXELS
from edgecount.errors import InputError, SourceError
from edgecount.runtime.frames.depth import to_eight_bits
from edgecount.runtime.frames.stills.decode import decode_still, no_image
from edgecount.runtime.frames.stills.formats import HEAD, is_image

__all__ = [
    "MAX_PIXELS",
    "as_bgr",
    "decode_image",
    "device_of",
    "eight_bits",
    "lies_on_gpu",
    "plain_array",
    "read_file",
    "read_image",
    "shape_of",
]

_DLPACK_CUDA = (2, 13)  # device memory, and managed memory

_EXPECTED = "expected a uint8 array of shape (height, width, 3) in BGR order"


_log = logging.getLogger(__name__)


def read_image(
    path: str | os.PathLike[str],
    *,
    accept_damaged: bool = False,
    max_pixels: int = MAX_PIXELS,
    on_size: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Decode an image file.

    The orientation is applied: that of EXIF in a JPEG, PNG or WebP, of the tag in a TIFF, and the
    rotation and mirror of an AVIF; one in XMP is ignored. Grey becomes three equal channels, alpha
    is dropped, and more than 8 bits become 8 by rounding value / white * 255. Of a file with
    several pages the first is read.

    Args:
        path: the file; its content decides the format, not its name.
        accept_damaged: whether a damaged or truncated file is decoded as far as it goes, with a
            warning in the log.
        max_pixels: most pixels of the picture; a larger one is refused before it is decoded.
        on_size: called with the stored picture's width and height before it is decoded.

    Returns:
        uint8 (H, W, 3), BGR, C-contiguous.

    Raises:
        SourceError: the file is missing, no regular file, empty, unreadable, truncated, damaged,
            too large or no image.
    """
    file = Path(path)
    try:
        if not is_image(read_file(file, most=HEAD)):  # what else there is may be without end
            raise SourceError(no_image(str(file)))
        data = read_file(file)
    except MemoryError:
        raise SourceError(f"not enough memory to read {file}") from None
    return decode_image(
        data, str(file), accept_damaged=accept_damaged, max_pixels=max_pixels, on_size=on_size
    )


def decode_image(
    data: bytes,
    name: str,
    *,
    accept_damaged: bool = False,
    max_pixels: int = MAX_PIXELS,
    on_size: Callable[[int, int], None] | None = None,
) -> NDArray[np.uint8]:
    """Decode the content of an image file; see `read_image`.

    Args:
        data: the content of the whole file.
        name: the file's name, for messages.
        accept_damaged: see `read_image`, as for max_pixels and on_size.
        max_pixels: most pixels of the picture.
        on_size: called before the picture is decoded.
    """
    try:
        if not is_image(data[:HEAD]):
            raise SourceError(no_image(name))
        image, damage = decode_still(
            name, data, accept_damaged=accept_damaged, max_pixels=max_pixels, on_size=on_size
        )
        pixels = as_bgr(image)
    except MemoryError:
        raise SourceError(f"not enough memory to read {name}") from None
    except InputError as error:
        raise error if isinstance(error, SourceError) else SourceError(f"{name}: {error}") from None
    if damage:
        _log.warning("%s %s; taken all the same", name, damage)
    return pixels


def as_bgr(frame: Any) -> NDArray[np.uint8]:
    """Return a caller's frame as uint8 BGR, without a copy if it is that already.

    Args:
        frame: an array (H, W), (H, W, 1), (H, W, 3) BGR or (H, W, 4) BGRA of dtype uint8, uint16
            (rounded to 8 bits by value / 257) or bool (False 0, True 255), or a PIL image (its
            EXIF orientation is applied). Grey becomes three equal channels; alpha is dropped.
            Masked arrays pass only as long as nothing in them is masked.

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
    pixels = _three_channels(eight_bits(plain_array(frame)))
    # The kernel takes rows that lie apart but not flipped ones or pixels with gaps.
    ordered = pixels.strides[1:] == (3, 1) and pixels.strides[0] >= 3 * pixels.shape[1]
    return pixels if ordered else np.ascontiguousarray(pixels)


def plain_array(frame: NDArray[Any]) -> NDArray[Any]:
    """Return an array of a subclass as a plain one, without a copy.

    What subclasses such as ``np.matrix`` make of an index or a shape is their own.

    Raises:
        InputError: pixels of it are masked, and so have no value.
    """
    if isinstance(frame, np.ma.MaskedArray) and np.ma.is_masked(frame):
        number = np.count_nonzero(np.ma.getmaskarray(frame))
        raise InputError(
            f"{_EXPECTED}, got an array with {number} masked values: choose what they shall be, "
            "such as frame.filled(0)"
        )
    return frame if type(frame) is np.ndarray else frame.view(np.ndarray)


def eight_bits(frame: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels of 8 bits, without a copy if they are that already; see `as_bgr`.

    Raises:
        InputError: the dtype is not uint8, uint16 or bool.
    """
    if frame.dtype == np.uint8:
        return frame
    if frame.dtype.type is np.uint16 and frame.ndim:  # of either byte order
        return to_eight_bits(frame)
    if frame.dtype == np.bool_:
        return np.where(frame, 255, 0).astype(np.uint8)
    raise InputError(
        f"{_EXPECTED}, got {frame.dtype}: scale the values to 0..255 and use .astype(numpy.uint8)"
    )


def lies_on_gpu(frame: Any) -> bool:
    """Return whether an array of another library lies on a GPU."""
    where = getattr(frame, "__dlpack_device__", None)
    if where is None:
        try:
            return hasattr(frame, "__cuda_array_interface__")
        except Exception:  # noqa: BLE001  # it has one; why it cannot be had is told on the import
            return True
    try:
        return int(where()[0]) in _DLPACK_CUDA
    except Exception:  # noqa: BLE001  # whatever it raises, it is no array on a GPU
        return False


def device_of(array: Any) -> int | None:
    """Return the number of the GPU that another library's array lies on; None: on none.

    The address says so where it is given: some libraries name the first GPU by DLPack, whatever
    they use.
    """
    from edgecount import _ext

    try:
        if hasattr(array, "__cuda_array_interface__"):
            return _ext.memory_device(array.__cuda_array_interface__["data"][0])
        return int(array.__dlpack_device__()[1])
    except Exception as error:
        raise InputError(f"a {type(array).__name__} does not say where it lies: {error}") from error


def shape_of(array: Any) -> tuple[int, ...]:
    """Return the shape of another library's array.

    Raises:
        InputError: the array has none.
    """
    try:
        shape = getattr(array, "shape", None)
        if shape is None:
            shape = array.__cuda_array_interface__["shape"]
        return tuple(int(side) for side in shape)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise InputError(f"{_EXPECTED}, got a {type(array).__name__} without a shape") from None


def read_file(path: Path, kind: str = "an image", most: int = -1) -> bytes:
    """Return the first ``most`` bytes, by default all, of a regular file of a kind.

    Raises:
        SourceError: the file is missing, a folder, a pipe or a device, empty or unreadable.
    """
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SourceError(f"{path} is {_kind_of_file(mode)}: expected {kind} file")
        # Path.open takes no opener, by which a pipe that has just taken the file's place would
        # not block either.
        with open(path, "rb", opener=_open_at_once) as file:
            data = file.read(most)
    except FileNotFoundError:
        raise SourceError(f"no such file: {path}") from None
    except PermissionError:
        raise SourceError(f"no permission to read {path}") from None
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:  # such as a zero byte in the name
        raise (
            error
            if isinstance(error, SourceError)
            else SourceError(f"cannot read {str(path)!r}: {error}")
        ) from None
    if not data:
        raise SourceError(f"{path} is empty (0 bytes)")
    return data


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _kind_of_file(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "no regular file")


def _from_pil(image: Any) -> NDArray[Any]:
    from PIL import ImageOps

    try:
        upright: Any = ImageOps.exif_transpose(image)
        if upright.mode != "F" and not upright.mode.startswith("I"):
            rgb: NDArray[Any] = np.asarray(upright.convert("RGB"))
            return rgb[:, :, ::-1]
        values = np.asarray(upright)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  # Pillow decodes only now
        raise InputError(f"a PIL image cannot be read as RGB: {error}") from None
    if upright.mode == "F":
        raise InputError(f"{_EXPECTED}, got a PIL image of floats (mode F): convert it to 8 bits")
    # PIL clips 16-bit grey to 255 when it converts to RGB.
    if values.size and not 0 <= values.min() <= values.max() <= 65535:
        raise InputError(f"{_EXPECTED}, got a PIL image with values beyond 16 bits")
    # As 16 bits it would be black, which nobody means by such an image.
    if upright.mode == "I" and values.size and 0 < values.max() <= 255:
        raise InputError(
            f"{_EXPECTED}, got a PIL image of mode I without a value above 255: convert it to L if "
            "it has 8 bits, or to I;16"
        )
    return values.astype(np.uint16)


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
