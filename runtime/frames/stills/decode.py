"""Decoding of image files: upright, in 8 bits, and never damaged without a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecount.errors import EdgeCountError, SourceError
from edgecount.runtime.frames.depth import to_eight_bits
from edgecount.runtime.frames.opencv import load_cv2, quiet_cv2
from edgecount.runtime.frames.stills.avif import avif_without_end
from edgecount.runtime.frames.stills.chunks import webp_without_end
from edgecount.runtime.frames.stills.formats import (
    PILLOW,
    avif_tells_of_missing,
    one_line,
    open_with_pillow,
    read_header,
)
from edgecount.runtime.frames.stills.header import Header
from edgecount.runtime.frames.stills.jpeg import JPEG, MOST_SCANS, Jpeg, decode_jpeg, read_jpeg
from edgecount.runtime.frames.stills.pam import decode_pam
from edgecount.runtime.frames.stills.tiff import as_it_lies, find_corrupt_tiff

_SURPLUS = "its picture is complete before its data end"


def decode_still(
    name: str,
    data: bytes,
    *,
    accept_damaged: bool,
    max_pixels: int,
    on_size: Callable[[int, int], None] | None = None,
) -> tuple[NDArray[Any], str | None]:
    """Decode an image file's content.

    Args:
        name: the file's name, for messages.
        data: its content.
        accept_damaged: whether damage is returned in place of an error.
        max_pixels: most pixels of the picture; more are refused before anything is decoded.
        on_size: called with the stored picture's width and height before it is decoded.

    Returns:
        The upright picture (H, W, 3), BGR, uint8 unless its values are signed or floats; and what
        is damaged, None if nothing is known to be.

    Raises:
        SourceError: it is no image, too large, truncated, damaged, or cannot be decoded.
    """
    jpeg = read_jpeg(data) if data.startswith(JPEG) else None
    header = jpeg.header if jpeg else read_header(data)
    if header is None:
        raise SourceError(no_image(name))
    _check_size(name, header, jpeg.scans if jpeg else 0, max_pixels)
    if header.unsupported:
        raise SourceError(f"{name} is a {header.format} that cannot be read: {header.unsupported}")
    damage = _damage_of(header.missing, header.damaged)
    if damage and header.format == "PNG":  # of which libpng gives nothing, and may take long
        raise SourceError(f"{name} {damage}; copy or download it again")
    if damage and not accept_damaged:
        raise _refusal(name, damage)
    if not header.pixels:  # nothing is decoded whose size is not known
        raise SourceError(f"{name} cannot be decoded: {damage or 'its size cannot be read'}")
    if on_size is not None:
        on_size(header.width, header.height)
    try:
        image, corrupt = _pixels(name, header, data, jpeg, accept_damaged)
        damage = damage or _damage_of(None, corrupt)
        if damage and not accept_damaged:
            raise _refusal(name, damage)
        return _turned(_in_eight_bits(image, header), header.orientation), damage
    except MemoryError:
        raise SourceError(
            f"not enough memory to decode {name} of {header.width} x {header.height} pixels"
        ) from None


def no_image(name: str) -> str:
    """Return what is said of a file that is no image."""
    return f"{name} is not an image that can be decoded; the frames of a video come from stream()"


def _check_size(name: str, header: Header, scans: int, max_pixels: int) -> None:
    if header.pixels > max_pixels:
        tiles = " in its tiles" if header.tile > header.width * header.height else ""
        raise SourceError(
            f"{name} has {header.width} x {header.height} pixels, or {header.pixels:,}{tiles}, "
            f"expected at most {max_pixels:,}: shrink it, or set `max_pixels` higher"
        )
    if scans > MOST_SCANS:
        raise SourceError(
            f"{name} is a JPEG of {scans} scans, expected at most {MOST_SCANS}: save it again"
        )


def _refusal(name: str, damage: str) -> SourceError:
    again = "copy or download it again, or set `accept_damaged` to take it all the same"
    return SourceError(f"{name} {damage}; {again}")


def _damage_of(missing: str | None, damaged: str | None) -> str | None:
    if missing:
        return f"is truncated: {missing}"
    return f"is damaged: {damaged}" if damaged else None


def _pixels(
    name: str, header: Header, data: bytes, jpeg: Jpeg | None, accept_damaged: bool
) -> tuple[NDArray[Any], str | None]:
    """Return the picture as it is stored, and what its decoder says of corrupt data."""
    if jpeg is not None:
        image, corrupt = decode_jpeg(jpeg)
        if image is None and not corrupt:  # what TurboJPEG cannot decode OpenCV may
            image = _by_opencv(name, header, jpeg.data)
        if image is None:
            raise SourceError(f"{name} is damaged beyond decoding: {corrupt}")
        return image, corrupt
    if header.format in PILLOW:
        try:
            image = _by_pillow(header, data)
            return image, _SURPLUS if _avif_has_surplus(header, data) else None
        except (MemoryError, EdgeCountError):
            raise
        except Exception as error:  # noqa: BLE001  # Pillow raises whatever its parsers met
            if not accept_damaged:
                raise _refusal(name, f"is damaged: {one_line(error)}") from None
            return _by_opencv(name, header, data), one_line(error)
    corrupt = find_corrupt_tiff(data, header.pixels) if header.format == "TIFF" else None
    if corrupt and not accept_damaged:
        raise _refusal(name, f"is damaged: {corrupt}")
    image = _by_opencv(name, header, data)
    if header.format == "WebP" and _webp_has_surplus(data):
        corrupt = _SURPLUS
    return image, corrupt


def _avif_has_surplus(header: Header, data: bytes) -> bool:
    """Return whether an AVIF's picture is there without the end of its data."""
    cut = avif_without_end(data) if header.format == "AVIF" and avif_tells_of_missing() else None
    if cut is None:
        return False
    try:
        _by_pillow(header, cut)
    except Exception:  # noqa: BLE001  # as it should be
        return False
    return True


def _webp_has_surplus(data: bytes) -> bool:
    """Return whether a WebP's picture is there without the end of its data."""
    cut = webp_without_end(data)
    if cut is None:
        return False
    cv2 = load_cv2()
    with quiet_cv2:
        return cv2.imdecode(np.frombuffer(cut, np.uint8), cv2.IMREAD_COLOR) is not None


def _by_pillow(header: Header, data: bytes) -> NDArray[np.uint8]:
    with open_with_pillow(header.format, data) as image:
        rgb: NDArray[np.uint8] = np.asarray(image.convert("RGB"))
    return rgb[:, :, ::-1]


def _by_opencv(name: str, header: Header, data: bytes) -> NDArray[Any]:
    if header.format == "PAM":  # of which it exchanges the colours
        return decode_pam(data)
    cv2 = load_cv2()
    # Which formats OpenCV turns by their EXIF data differs between its releases.
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    if header.format == "TIFF":
        data = as_it_lies(data)
    with quiet_cv2:
        try:
            image: NDArray[Any] | None = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        except cv2.error as error:
            if error.code == cv2.Error.StsNoMem:
                raise MemoryError from None
            raise SourceError(f"cannot decode {name}: {error.err}") from None
    if image is None:
        raise SourceError(
            f"{name} cannot be decoded: it is damaged, or a {header.format} of a kind that OpenCV "
            "does not read"
        )
    return image


def _in_eight_bits(image: NDArray[Any], header: Header) -> NDArray[Any]:
    if image.dtype == np.uint16 or (image.dtype == np.uint8 and header.white not in (None, 255)):
        return to_eight_bits(image, header.white, inverted=header.inverted)
    return image


def _turned(image: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn a picture upright. Source: Exif 2.32, section 4.6.4 (Orientation)."""
    if orientation == 1:
        return np.ascontiguousarray(image)
    cv2 = load_cv2()
    if orientation >= 5:
        image = cv2.transpose(image)
    # What is left is to flip the columns (1), the rows (0), or both (-1).
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    turned: NDArray[Any] = image if flip is None else cv2.flip(image, flip)
    return np.ascontiguousarray(turned)
