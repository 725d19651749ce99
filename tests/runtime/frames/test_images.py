"""Images from files and arrays, and what is said about those that are none."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgecount.errors import EdgeCountError, InputError, SourceError
from edgecount.runtime.frames import depth
from edgecount.runtime.frames.images import as_bgr, read_image

RNG = np.random.default_rng(0)
PICTURE = cv2.GaussianBlur(RNG.integers(0, 256, (60, 80, 3)).astype(np.uint8), (0, 0), 3)
FORMATS = ["jpg", "png", "bmp", "webp", "tif", "ppm"]


def encode(suffix: str, image: NDArray[Any] = PICTURE) -> bytes:
    done, data = cv2.imencode(f".{suffix}", image)
    assert done
    return bytes(data)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
def test_reads_every_format(tmp_path: Path, suffix: str) -> None:
    image = read_image(write(tmp_path / f"a.{suffix}", encode(suffix)))
    assert image.shape == PICTURE.shape
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - PICTURE).mean() < 3


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.98])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    data = encode(suffix)
    path = write(tmp_path / f"cut.{suffix}", data[: int(share * len(data))])
    with pytest.raises(SourceError, match="cut") as caught:
        read_image(path)
    if suffix in ("jpg", "png", "webp"):
        assert "truncated" in str(caught.value)


def test_the_end_mark_of_a_thumbnail_is_not_that_of_the_image(tmp_path: Path) -> None:
    data = encode("jpg")
    app1 = b"Exif\0\0" + encode("jpg", PICTURE[:16, :16])
    with_thumbnail = data[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + data[2:]
    assert read_image(write(tmp_path / "a.jpg", with_thumbnail)).shape == PICTURE.shape
    with pytest.raises(SourceError, match="truncated: the JPEG's end mark is missing"):
        read_image(write(tmp_path / "b.jpg", with_thumbnail[:-200]))


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_bytes_after_the_end_are_fine(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.{suffix}", encode(suffix) + b"maker notes" * 9)
    assert read_image(path).shape == PICTURE.shape


def with_orientation(data: bytes, orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    app1 = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + data[2:]


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    plain = read_image(write(tmp_path / "a.jpg", encode("jpg")))
    turned = read_image(write(tmp_path / "b.jpg", with_orientation(encode("jpg"), 6)))
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits_grey_and_alpha_files(tmp_path: Path, channels: int) -> None:
    deep = RNG.integers(0, 65536, (20, 30, channels)).astype(np.uint16)
    image = read_image(write(tmp_path / "a.png", encode("png", deep.squeeze())))
    expected = np.round(deep[:, :, :3] / 257).astype(np.uint8)
    np.testing.assert_array_equal(image, np.broadcast_to(expected, (20, 30, 3)))


def test_float_images_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", encode("tif", np.ones((8, 8, 3), np.float32)))
    with pytest.raises(SourceError, match=r"a.tif: .*got float32"):
        read_image(path)


def test_other_content(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"text.jpg is not an image that can be decoded"):
        read_image(write(tmp_path / "text.jpg", b"dear diary " * 30))
    with pytest.raises(SourceError, match=r"empty.jpg is empty \(0 bytes\)"):
        read_image(write(tmp_path / "empty.jpg", b""))
    with pytest.raises(SourceError, match=r"no such file: .*none.jpg"):
        read_image(tmp_path / "none.jpg")
    with pytest.raises(SourceError, match="is a folder: expected an image file"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\x01",
        encode("png")[:20],
        b"\xff\xd8\xff\xff\xff\xff\xff\xff",
    ],
)
def test_a_few_bytes_of_an_image(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(SourceError, match="truncated"):
        read_image(write(tmp_path / "a", data))


def test_a_file_without_permission(open_folder: Path) -> None:
    path = write(open_folder / "a.png", encode("png"))
    path.chmod(0)
    code = (
        "import os, sys, edgecount\n"
        "from edgecount.runtime.frames.images import read_image\n"
        "os.getuid() or os.setuid(65534)\n"
        "try: read_image(sys.argv[1])\n"
        "except edgecount.SourceError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("no permission to read ")


def test_nothing_is_written_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for suffix in FORMATS:
        with pytest.raises(SourceError):
            read_image(write(tmp_path / f"cut.{suffix}", encode(suffix)[:-300]))
    assert capfd.readouterr().err == ""


def test_a_uint8_frame_is_not_copied() -> None:
    assert as_bgr(PICTURE) is PICTURE
    crop = PICTURE[5:20, 10:40]
    assert np.shares_memory(as_bgr(crop), crop)


@pytest.mark.parametrize(
    "frame",
    [
        PICTURE[::-1],
        PICTURE[:, ::-1],
        PICTURE[:, ::2],
        PICTURE[:, :, ::-1],
        np.asfortranarray(PICTURE),
    ],
)
def test_other_strides_are_copied_in_order(frame: NDArray[np.uint8]) -> None:
    assert as_bgr(frame).flags.c_contiguous
    np.testing.assert_array_equal(as_bgr(frame), frame)


def test_grey_alpha_16_bits_and_bool() -> None:
    grey = PICTURE[:, :, 0]
    for form in (grey, grey[:, :, None]):
        np.testing.assert_array_equal(as_bgr(form), np.stack([grey] * 3, 2))
    alpha = np.dstack([PICTURE, grey])
    np.testing.assert_array_equal(as_bgr(alpha), PICTURE)
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    np.testing.assert_array_equal(as_bgr(deep)[:, :, 1], np.round(deep / 257))
    np.testing.assert_array_equal(as_bgr(deep.astype(">u2")), as_bgr(deep))
    assert np.unique(as_bgr(grey > 128)).tolist() == [0, 255]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (PICTURE.astype(np.float32), "got float32: scale the values to 0..255"),
        (PICTURE.astype(np.int64), "got int64"),
        (PICTURE.transpose(2, 0, 1), r"got shape \(3, 60, 80\): channels come last"),
        (PICTURE[None], r"got shape \(1, 60, 80, 3\)"),
        (PICTURE[:, :, :2], r"got shape \(60, 80, 2\)"),
        (PICTURE[:0], "has no pixels"),
        (np.uint8(3), "got uint8"),
        (PICTURE.tolist(), "a path or a PIL image, got list"),
        (None, "got NoneType"),
    ],
)
def test_refuses_other_frames(frame: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_bgr(frame)


def test_an_array_on_a_gpu_is_told_to_come_down() -> None:
    class CudaArray:
        __cuda_array_interface__: ClassVar[dict[str, Any]] = {}

    with pytest.raises(InputError, match="CudaArray on a GPU, and what counts it runs on the CPU"):
        as_bgr(CudaArray())


def test_pil_images() -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    rgb = image_module.fromarray(np.ascontiguousarray(PICTURE[:, :, ::-1]))
    np.testing.assert_array_equal(as_bgr(rgb), PICTURE)
    exif = rgb.getexif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(as_bgr(rgb), np.rot90(PICTURE, -1))
    deep = image_module.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    assert as_bgr(deep)[:, :, 0].max() == 255
    with pytest.raises(InputError, match="mode F"):
        as_bgr(image_module.new("F", (4, 4)))


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_arrays_of_subclasses() -> None:
    grey = PICTURE[:, :, 0]
    for form in (np.matrix(grey), np.ma.array(grey), grey.view(np.memmap)):
        plain = as_bgr(form)
        assert type(plain) is np.ndarray
        np.testing.assert_array_equal(plain, np.stack([grey] * 3, 2))


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        (np.arange(4096, dtype=np.uint16).reshape(64, 64), True),
        (np.arange(1024, dtype=">u2").reshape(32, 32), True),
        (np.arange(4097, dtype=np.uint16).reshape(1, 4097), False),
        (np.full((8, 8), 900, np.uint16), False),  # a lid, or a blank frame
        (np.zeros((8, 8), np.uint16), False),
        (np.zeros((0, 8), np.uint16), False),
        (np.arange(256, dtype=np.uint8).reshape(16, 16), False),
    ],
)
def test_16_bits_that_hold_fewer_are_told_of_once(
    frame: Any, *, told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    depth._warn_of_dark.cache_clear()
    for _ in range(2):
        with contextlib.suppress(InputError):  # an empty one
            as_bgr(frame)
    texts = [record.message for record in caplog.records]
    assert len(texts) == told
    assert all("65535 is white, got a frame without one above 4095" in text for text in texts)


def test_files_that_hold_fewer_bits_are_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    deep = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    depth._warn_of_dark.cache_clear()
    pgm = b"P5 32 32 1023\n" + deep.astype(">u2").tobytes()  # which says what white is
    assert read_image(write(tmp_path / "a.pgm", pgm)).max() == 255
    assert not caplog.records
    read_image(write(tmp_path / "a.png", cv2.imencode(".png", deep)[1].tobytes()))
    assert "scale its values by 65535 / (2**bits - 1)" in caplog.text


def test_masked_pixels_have_no_value() -> None:
    masked = np.ma.masked_greater(PICTURE, 250)
    masked[0, 0, 0] = np.ma.masked
    with pytest.raises(InputError, match=r"masked values: choose .* frame.filled\(0\)"):
        as_bgr(masked)
    np.testing.assert_array_equal(as_bgr(np.ma.array(PICTURE)), PICTURE)


def test_unaligned_and_read_only_arrays() -> None:
    deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    shifted = np.frombuffer(b"x" + deep.tobytes(), np.uint8)[1:].view(np.uint16).reshape(6, 8)
    assert not shifted.flags.aligned
    np.testing.assert_array_equal(as_bgr(shifted), as_bgr(deep))


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "LA", "PA", "RGBA", "CMYK", "YCbCr", "HSV", "RGBa"]
)
def test_pil_images_of_every_mode(mode: str) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    image = image_module.new(mode, (5, 4))
    assert as_bgr(image).shape == (4, 5, 3)


def test_a_pil_image_that_cannot_be_decoded(tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    path = write(tmp_path / "a.jpg", encode("jpg")[:-300])
    with image_module.open(path) as image, pytest.raises(InputError, match="truncated"):
        as_bgr(image)
    with pytest.raises(InputError, match="a PIL image cannot be read as RGB"):
        as_bgr(image_module.new("La", (4, 4)))


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_does_not_block(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "a.jpg")
    with pytest.raises(SourceError, match=r"a.jpg is a (pipe|device): expected an image file"):
        read_image(tmp_path / "a.jpg")


def test_a_socket_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("a.jpg")
        with pytest.raises(SourceError, match=r"a.jpg is a socket"):
            read_image("a.jpg")


def test_names_that_no_file_has() -> None:
    with pytest.raises(SourceError, match=r"cannot read 'a\\x00b'"):
        read_image("a\0b")
    with pytest.raises(SourceError, match=r"cannot read .*File name too long"):
        read_image("a" * 300)


def test_a_large_file_that_is_no_image_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(SourceError, match=r"a.jpg is not an image that can be decoded"):
        read_image(path)


def test_an_opencv_that_does_not_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(EdgeCountError, match=r"apt install libgl1.*opencv-python-headless"):
        read_image(write(tmp_path / "a.bmp", encode("bmp")))


def test_the_users_log_levels_stay(tmp_path: Path) -> None:
    before = cv2.utils.logging.getLogLevel()
    read_image(write(tmp_path / "a.png", encode("png")))
    assert cv2.utils.logging.getLogLevel() == before
    assert "OPENCV_FFMPEG_LOGLEVEL" not in os.environ


def test_pil_images_of_whole_numbers_are_not_taken_for_black_ones() -> None:
    image_module = pytest.importorskip("PIL.Image")
    grey = image_module.fromarray(np.full((4, 6), 200, np.uint8))
    with pytest.raises(InputError, match="mode I without a value above 255: convert it to L"):
        as_bgr(grey.convert("I"))
    deep = image_module.fromarray(np.full((4, 6), 51400, np.int32))
    assert as_bgr(deep).tolist() == np.full((4, 6, 3), 200).tolist()
