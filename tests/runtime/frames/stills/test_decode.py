"""Image files: one orientation, a limit on pixels, damage, depths."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from still_files import exif, write

from edgecount.errors import EdgeCountError, SourceError
from edgecount.runtime.frames.images import read_image
from edgecount.runtime.frames.stills import decode

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (60, 80, 3)).astype(np.uint8), (0, 0), 3)
TURNS = {
    1: PICTURE,
    2: PICTURE[:, ::-1],
    3: PICTURE[::-1, ::-1],
    4: PICTURE[::-1],
    5: PICTURE.transpose(1, 0, 2),
    6: np.rot90(PICTURE, -1),
    7: np.rot90(PICTURE, 2).transpose(1, 0, 2),
    8: np.rot90(PICTURE),
}


def encode(kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PICTURE[:, :, ::-1]).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_format_is_turned_upright(tmp_path: Path, kind: str, orientation: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    data = encode(kind, exif=exif(orientation), **options)
    image = read_image(write(tmp_path / "a", data))
    right = TURNS[orientation]
    assert image.shape == right.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - right).mean() < 4


@pytest.mark.parametrize("order", ["little", "big"])
def test_16_bit_tiffs_are_turned_once(tmp_path: Path, order: str) -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    path = write(tmp_path / "a.tif", tiff(values, order="<" if order == "little" else ">", turn=6))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], np.rot90(grey(values), -1))


def test_orientations_that_make_no_sense_are_none(tmp_path: Path) -> None:
    for orientation in (0, 9, 4711):
        data = encode("PNG", exif=exif(orientation))
        np.testing.assert_array_equal(read_image(write(tmp_path / "a", data)), PICTURE)


def test_an_orientation_in_xmp_is_ignored(tmp_path: Path) -> None:
    xmp = b"<x:xmpmeta><tiff:Orientation>6</tiff:Orientation></x:xmpmeta>"
    for kind in ("JPEG", "WEBP", "AVIF"):
        assert read_image(write(tmp_path / "a", encode(kind, xmp=xmp))).shape == PICTURE.shape


def grey(values: NDArray[np.uint16], white: int = 65535) -> NDArray[np.uint8]:
    return np.floor(values * (255 / white) + 0.5 + 1e-9).astype(np.uint8)


def tiff(values: NDArray[np.uint16], *, order: str = "<", turn: int = 1, **tags: int) -> bytes:
    """Make an uncompressed TIFF of 16-bit grey."""
    height, width = values.shape
    data = values.astype(f"{order}u2").tobytes()
    fields = {
        "Width": (256, width),
        "Height": (257, height),
        "Bits": (258, 16),
        "Compression": (259, 1),
        "Photometric": (262, tags.get("photometric", 1)),
        "Offset": (273, 8),
        "Orientation": (274, turn),
        "Rows": (278, height),
        "Bytes": (279, len(data)),
        "TileWidth": (322, tags.get("tile", 0)),
        "TileHeight": (323, tags.get("tile", 0)),
    }
    used = [field for field in fields.values() if field[0] < 320 or field[1]]
    entries = b"".join(struct.pack(f"{order}HHII", tag, 4, 1, value) for tag, value in used)
    start = b"II*\0" if order == "<" else b"MM\0*"
    offset = struct.pack(f"{order}I", 8 + len(data))
    return start + offset + data + struct.pack(f"{order}H", len(used)) + entries + bytes(4)


def test_white_is_zero_in_16_bits_too(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
    path = write(tmp_path / "a.tif", tiff(values, photometric=0))
    np.testing.assert_array_equal(read_image(path)[:, :, 0], grey(65535 - values))
    with pytest.raises(SourceError, match="of 16 bits only grey and RGB are read"):
        read_image(write(tmp_path / "b.tif", tiff(values, photometric=5)))


@pytest.mark.parametrize("white", [1, 100, 255, 1023, 4095, 65535])
def test_pgm_has_the_white_that_it_says(tmp_path: Path, white: int) -> None:
    values = np.linspace(0, white, 24).round().astype(np.uint16).reshape(4, 6)
    data = b"P5 # a note\n6\n4\n%d\n" % white
    data += values.astype(">u2" if white > 255 else "u1").tobytes()
    image = read_image(write(tmp_path / "a.pgm", data))
    np.testing.assert_array_equal(image[:, :, 0], grey(values, white))


def test_jpeg_2000_of_12_bits(tmp_path: Path) -> None:
    values = np.linspace(0, 4095, 64 * 64).round().astype(np.uint16).reshape(64, 64)
    file = io.BytesIO()
    # In 16 bits the values lie around 32768, in 12 around 2048; then only the depth is changed.
    Image.fromarray(values + np.uint16(30720)).save(file, "JPEG2000", irreversible=False)
    data = bytearray(file.getvalue())
    data[data.index(b"\xff\x4f\xff\x51") + 42] = data[data.index(b"ihdr") + 14] = 11
    image = read_image(write(tmp_path / "a.jp2", bytes(data)))
    np.testing.assert_array_equal(image[:, :, 0], grey(values, 4095))


def test_avif_of_10_bits(tmp_path: Path) -> None:
    done, data = cv2.imencode(".avif", PICTURE.astype(np.uint16) * 4, [cv2.IMWRITE_AVIF_DEPTH, 10])
    if not done:
        pytest.skip("this OpenCV writes no AVIF")
    image = read_image(write(tmp_path / "a.avif", bytes(data)))
    assert np.abs(image.astype(int) - PICTURE).mean() < 4


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * min(height, 9)))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def webp_of(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    body = b"\x2f" + struct.pack("<I", bits) + bytes(9)
    return b"RIFF" + struct.pack("<I4s4sI", 12 + len(body), b"WEBP", b"VP8L", len(body)) + body


HUGE = {
    "png": png_of(32000, 32000),
    "webp": webp_of(16383, 16383),
    "bmp": b"BM" + bytes(12) + struct.pack("<Iii", 40, 30000, -30000) + bytes(28),
    "pgm": b"P5 30000 30000 255\n",
    "pam": b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 1\nMAXVAL 255\nENDHDR\n",
    "gif": b"GIF89a"
    + struct.pack("<HH", 65535, 65535)
    + b"\0\0\0,"
    + struct.pack("<4HB", 0, 0, 65535, 65535, 0)
    + b"\x02\x02\x44\x01\0;",
    "tif": tiff(np.zeros((2, 2), np.uint16), tile=65536),
    "jpg": encode("JPEG").replace(struct.pack(">HH", 60, 80), struct.pack(">HH", 60000, 60000)),
    "sun": b"\x59\xa6\x6a\x95" + struct.pack(">7I", 30000, 30000, 8, 9, 1, 0, 0) + bytes(9),
}


@pytest.mark.parametrize("kind", HUGE)
def test_a_small_file_of_a_huge_picture_is_refused_from_its_header(
    tmp_path: Path, kind: str
) -> None:
    path = write(tmp_path / f"a.{kind}", HUGE[kind])
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match=r"expected at most 250,000,000.*`max_pixels`"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_the_limit_is_the_users(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", encode("PNG"))
    assert read_image(path, max_pixels=4800).shape == PICTURE.shape
    with pytest.raises(SourceError, match=r"a.png has 80 x 60 pixels, or 4,800, expected at most"):
        read_image(path, max_pixels=4799)


def test_pillows_limit_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for kind in ("AVIF", "GIF", "PNG", "JPEG"):
        assert read_image(write(tmp_path / "a", encode(kind))).shape == PICTURE.shape


def test_jpegs_of_endless_scans_are_refused(tmp_path: Path) -> None:
    data = encode("JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    path = write(tmp_path / "a.jpg", data[:-2] + data[last:-2] * 100 + data[-2:])
    with pytest.raises(SourceError, match="of 110 scans, expected at most 100"):
        read_image(path)


def test_too_little_memory_is_an_error_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    path = write(tmp_path / "a.png", encode("PNG"))
    monkeypatch.setattr(decode, "_by_opencv", fail)
    with pytest.raises(SourceError, match=r"not enough memory to decode .*a.png of 80 x 60"):
        read_image(path)


DAMAGED = {
    "jpg": lambda data: data[:-600] + data[-520:],
    "png": lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:],
    "tif": lambda data: data[:200] + bytes([data[200] ^ 4]) + data[201:],
}
ENCODED = {
    "jpg": encode("JPEG", quality=95),
    "png": encode("PNG"),
    "tif": encode("TIFF", compression="tiff_adobe_deflate"),
}


@pytest.mark.parametrize("suffix", DAMAGED)
def test_damage_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", DAMAGED[suffix](ENCODED[suffix]))
    hint = "" if suffix == "png" else ".*`accept_damaged`"
    with pytest.raises(SourceError, match=rf"a\.\w+ is damaged: .*; copy {hint}"):
        read_image(path)


def test_a_damaged_png_is_never_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", encode("PNG")[:-3])
    with pytest.raises(SourceError, match=r"a.png is truncated: .* copy or download it again$"):
        read_image(path, accept_damaged=True)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_damage_is_accepted_with_a_warning(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / f"a.{suffix}", DAMAGED[suffix](ENCODED[suffix]))
    image = read_image(path, accept_damaged=True)
    assert image.shape == PICTURE.shape
    assert "is damaged" in caplog.text
    assert capfd.readouterr().err == ""


def test_a_truncated_jpeg_is_accepted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = encode("JPEG", quality=95)
    path = write(tmp_path / "a.jpg", data[: int(0.7 * len(data))])
    with pytest.raises(SourceError, match="truncated"):
        read_image(path)
    image = read_image(path, accept_damaged=True)
    assert np.abs(image[:20].astype(int) - PICTURE[:20]).mean() < 4
    assert "is truncated: the JPEG's end mark is missing; taken all the same" in caplog.text


def test_jpegs_inside_a_tiff_are_checked(tmp_path: Path) -> None:
    data = encode("TIFF", compression="jpeg", quality=95)
    assert read_image(write(tmp_path / "a.tif", data)).shape == PICTURE.shape
    middle = data.index(b"\xff\xda") + 500
    damaged = data[:middle] + b"\x5a\xa5" * 9 + data[middle + 18 :]
    with pytest.raises(SourceError, match="is damaged: Corrupt JPEG data"):
        read_image(write(tmp_path / "b.tif", damaged))
    huge = data.replace(struct.pack(">HH", 60, 80), struct.pack(">HH", 60000, 60000))
    with pytest.raises(SourceError, match="its parts are larger than the picture"):
        read_image(write(tmp_path / "c.tif", huge))


@pytest.mark.parametrize("quality", [5, 50, 95])
@pytest.mark.parametrize("size", [(80, 60), (33, 17), (640, 480)])
@pytest.mark.parametrize("lossless", [False, True])
def test_whole_webps_have_no_surplus(
    tmp_path: Path, quality: int, size: tuple[int, int], lossless: bool
) -> None:
    for image in (Image.fromarray(cv2.resize(PICTURE, size)), Image.new("RGB", size, (9, 9, 200))):
        image.save(tmp_path / "a.webp", quality=quality, lossless=lossless)
        assert read_image(tmp_path / "a.webp").shape == (size[1], size[0], 3)


def test_flipped_bits_in_a_webp_are_noticed(tmp_path: Path) -> None:
    file = io.BytesIO()
    noise = RNG.integers(0, 60, (240, 320, 3)) + cv2.resize(PICTURE, (320, 240)) // 2
    Image.fromarray(noise.astype(np.uint8)).save(file, "WEBP", quality=85)
    data, rng, accepted = file.getvalue(), np.random.default_rng(3), 0
    for _ in range(30):
        damaged = bytearray(data)
        for position in rng.integers(100, len(data), 4):
            damaged[position] ^= 1 << int(rng.integers(8))
        try:
            read_image(write(tmp_path / "a.webp", bytes(damaged)))
            accepted += 1
        except SourceError:
            pass
    assert accepted <= 6


def test_chunks_that_a_picture_does_not_need_may_be_damaged(tmp_path: Path) -> None:
    text = b"tEXtComment\0hello"
    chunk = struct.pack(">I", len(text) - 4) + text + b"oops"
    data = encode("PNG")
    path = write(tmp_path / "a.png", data[:33] + chunk + data[33:])
    np.testing.assert_array_equal(read_image(path), PICTURE)


def test_animations_give_their_first_picture(tmp_path: Path) -> None:
    first = Image.fromarray(PICTURE[:, :, ::-1])
    for suffix in ("webp", "png", "gif"):
        path = tmp_path / f"a.{suffix}"
        first.save(path, save_all=True, append_images=[first.rotate(180)])
        assert np.abs(read_image(path).astype(int) - PICTURE).mean() < 12


@pytest.mark.parametrize(
    ("package", "kind"), [("simplejpeg", "JPEG"), ("PIL.AvifImagePlugin", "AVIF")]
)
def test_a_decoder_that_does_not_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, kind: str
) -> None:
    path = write(tmp_path / "a", encode(kind))
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EdgeCountError, match=r"cannot be loaded .* pip install"):
        read_image(path)


def test_heic_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.heic", struct.pack(">I", 24) + b"ftypheic" + bytes(99))
    with pytest.raises(SourceError, match="is a HEIC that cannot be read: save it as JPEG or PNG"):
        read_image(path)
