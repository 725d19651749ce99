"""Preprocessing on the GPU: the bits of the CPU's, for every size, pitch, format and dtype."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from gpu_maps import EMULATED, how_many

from edgecount import _ext
from edgecount.runtime.frames.pixel_formats import frame_shape

MEAN, SCALE = (123.7, 116.3, 103.5), (1 / 58.4, 1 / 57.1, 1 / 57.4)
LARGE = 1 if EMULATED else 12


FORMATS = ["bgr", "rgbx", "grey", "nv12_bt601", "nv12_bt709_full"]


def on_cpu(image, out_size, resized, *, chroma=None, swap_rb=True, pixels="bgr"):
    out = np.full((3, *out_size), np.nan, np.float32)
    options = MEAN, SCALE, swap_rb, -0.25
    _ext.preprocess(image, out, *out_size, *resized, *options, chroma, pixels=pixels)
    return out


def make(image, out_size, resized, *, pixels="bgr", swap_rb=True, dtype="float32"):
    return _ext.Preprocessor(
        *image.shape[:2],
        *out_size,
        *resized,
        MEAN,
        SCALE,
        swap_rb,
        -0.25,
        pixels=pixels,
        dtype=dtype,
    )


@pytest.fixture
def on_gpu(stream, to_device, to_host):
    """Preprocess on the GPU; pitch and offset are bytes after rows and before the first one."""

    def run(image, out_size, resized, *, chroma=None, pixels="bgr", swap_rb=True, dtype="float32",
            pitch=0, offset=0, out_offset=0):  # fmt: skip
        def upload(plane):
            row = plane.size // plane.shape[0]
            wide = np.full((plane.shape[0], row + pitch), 99, np.uint8)
            wide[:, :row] = plane.reshape(plane.shape[0], row)
            array = to_device(wide, offset)[:, :row]
            return (
                array if plane.ndim == 2 else Pixels(array, plane.shape, row + pitch, stream).array
            )

        target = _ext.DeviceBuffer(12 * out_size[0] * out_size[1] + out_offset)
        out = target.array((3, *out_size), dtype, out_offset)
        preprocessor = make(image, out_size, resized, pixels=pixels, swap_rb=swap_rb, dtype=dtype)
        planes = {} if chroma is None else {"chroma": upload(chroma)}
        preprocessor.enqueue(upload(image), out, stream, **planes)
        return to_host(out)

    return run


class Pixels:
    """Rows of bytes as rows of pixels, which a view cannot make of them."""

    def __init__(self, rows, shape, pitch, stream):
        self.rows = rows
        changes = {"shape": shape, "strides": (pitch, shape[2], 1)}
        self.__cuda_array_interface__ = rows.__cuda_array_interface__ | changes
        self.array = _ext.device_array(self, stream)


def random_image(rng, size, pixels):
    """Return random bytes of a format, and what `on_gpu` and `on_cpu` are told of it."""
    height, width = size
    shape = frame_shape(pixels, height, width)
    frame = rng.integers(0, 256, shape, np.uint8)
    chroma = frame[height:] if pixels.startswith("nv12") else None
    return frame[:height], {"chroma": chroma, "pixels": pixels}


def random_side(rng, most):
    return int(np.exp(rng.uniform(0, np.log(most))))


@pytest.mark.parametrize("group", range(6))
def test_any_size_to_any_size(on_gpu, group):
    for seed in range(group, how_many(60, 1500), 6):
        rng = np.random.default_rng(seed)
        pixels = str(rng.choice(FORMATS))
        size = [random_side(rng, 150 * LARGE) for _ in range(2)]
        if pixels.startswith("nv12"):
            size = [side + side % 2 for side in size]
        keep = rng.random(2) < 0.3
        resized = [
            s if k else random_side(rng, 90 * LARGE) for s, k in zip(size, keep, strict=True)
        ]
        out_size = [side + int(rng.choice([0, 0, 1, 7])) for side in resized]
        image, options = random_image(rng, size, pixels)
        options["swap_rb"] = bool(rng.random() < 0.5)
        pitch, offset = int(rng.choice([0, 0, 1, 2, 4, 61])), int(rng.choice([0, 0, 1, 2, 3, 4]))
        half = rng.random() < 0.5
        got = on_gpu(
            image, out_size, resized, **options, pitch=pitch, offset=offset,
            dtype="float16" if half else "float32", out_offset=int(rng.choice([0, 4, 8])),
        )  # fmt: skip
        expected = on_cpu(image, out_size, resized, **options)
        what = f"{seed}, {pixels}: {size} to {resized} in {out_size}, pitch {pitch}, at {offset}"
        np.testing.assert_array_equal(got, expected.astype(got.dtype), err_msg=what)


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize("width", [2, 4, 6, 8, 62, 64, 66, 254, 256, 258])
def test_widths_around_a_block(rng, on_gpu, width, pixels):
    image, options = random_image(rng, (6, width), pixels)
    for resized in [(6, width), (5, max(1, width - 1)), (7, width + 1), (3, max(1, width // 2))]:
        out_size = (resized[0], resized[1] + 2)
        got = on_gpu(image, out_size, resized, **options)
        np.testing.assert_array_equal(got, on_cpu(image, out_size, resized, **options))


@pytest.mark.parametrize("pixels", FORMATS)
@pytest.mark.parametrize(
    ("size", "resized"),
    [
        ((2, 4000), (2, 1)),
        ((4000, 2), (1, 2)),
        ((2, 1600), (2, 70)),  # a block goes through its columns in several pieces
        ((4, 2302), (3, 66)),
        ((700, 90), (9, 13)),
        ((2, 2), (40, 300)),
    ],
)
def test_strong_changes_of_size(rng, on_gpu, size, resized, pixels):
    image, options = random_image(rng, size, pixels)
    got = on_gpu(image, resized, resized, **options, pitch=2)
    np.testing.assert_array_equal(got, on_cpu(image, resized, resized, **options))


@pytest.mark.skipif(EMULATED, reason="too large for an emulated GPU")
@pytest.mark.parametrize("resized", [(4320, 7680), (540, 960), (1, 1), (1080, 1920)])
@pytest.mark.parametrize("pixels", FORMATS)
def test_8k(rng, on_gpu, resized, pixels):
    image, options = random_image(rng, (4320, 7680), pixels)
    got = on_gpu(image, resized, resized, **options)
    np.testing.assert_array_equal(got, on_cpu(image, resized, resized, **options))


def test_pixels_beyond_the_last_are_not_looked_at(rng, stream, to_device, to_host):
    # The frame ends with its buffer, so that a read past it would be an error of its own.
    for width in (5, 6, 7, 9, 64, 127):
        image = rng.integers(0, 256, (3, width, 3), np.uint8)
        out_size = (2, max(1, width - 2))
        out = _ext.DeviceBuffer(12 * out_size[0] * out_size[1]).array((3, *out_size), "float32")
        make(image, out_size, out_size).enqueue(to_device(image), out, stream)
        np.testing.assert_array_equal(to_host(out), on_cpu(image, out_size, out_size))


def test_frames_into_a_batch(rng, stream, to_device, to_host):
    images = rng.integers(0, 256, (3, 20, 30, 3), np.uint8)
    batch = _ext.DeviceBuffer(3 * 3 * 16 * 25 * 2).array((3, 3, 16, 25), "float16")
    preprocessor = make(images[0], (16, 25), (15, 22), dtype="float16")
    frames = to_device(images)
    for index in range(3):
        preprocessor.enqueue(frames[index], batch[index], stream)
    expected = [on_cpu(image, (16, 25), (15, 22)).astype(np.float16) for image in images]
    np.testing.assert_array_equal(to_host(batch), expected)


@pytest.mark.parametrize("resized", [(20, 30), (12, 17)])
def test_recorded_in_a_graph(rng, stream, resized):
    pinned = _ext.PinnedBuffer(1800).array((20, 30, 3), "uint8")
    frame = _ext.DeviceBuffer(1800).array((20, 30, 3), "uint8")
    out = _ext.DeviceBuffer(12 * 20 * 30).array((3, 20, 30), "float32")
    result = _ext.PinnedBuffer(12 * 20 * 30).array((3, 20, 30), "float32")
    preprocessor = make(frame, (20, 30), resized)
    stream.begin_capture()
    stream.upload(frame, pinned)
    preprocessor.enqueue(frame, out, stream)
    stream.download(out, result)
    graph = stream.end_capture()
    for _ in range(3):
        pinned[...] = rng.integers(0, 256, pinned.shape)
        graph.launch(stream)
        stream.synchronize()
        np.testing.assert_array_equal(result, on_cpu(pinned, (20, 30), resized))


def test_a_preprocessor_may_go_before_its_work_is_done(rng, stream, to_device, to_host):
    image = rng.integers(0, 256, (40, 50, 3), np.uint8)
    out = _ext.DeviceBuffer(12 * 30 * 30).array((3, 30, 30), "float32")
    preprocessor = make(image, (30, 30), (24, 30))
    preprocessor.enqueue(to_device(image), out, stream)
    del preprocessor
    np.testing.assert_array_equal(to_host(out), on_cpu(image, (30, 30), (24, 30)))


def test_memory_of_weights_is_given_back():
    before = _ext.device_memory()[0]
    image = np.zeros((400, 300_000, 3), np.uint8)
    preprocessor = make(image, (200, 100_000), (200, 100_000))
    assert _ext.device_memory()[0] < before
    del preprocessor
    assert _ext.device_memory()[0] >= before - 2**20


IMAGE = np.zeros((4, 6, 3), np.uint8)
ARGUMENTS = (4, 6, 8, 8, 4, 6, MEAN, SCALE, True, 0.0)


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, 0, ValueError, "height: expected 1 or more, got 0"),
        (1, -3, ValueError, "width: expected 1 or more, got -3"),
        (2, 0, ValueError, "out_height: expected 1 or more, got 0"),
        (4, 9, ValueError, "resized_height, resized_width: expected at most"),
        (6, (1, 2), ValueError, "mean: expected 3 numbers, got 2"),
        (1, 2**21, ValueError, "image, out_height, out_width: expected sides of at most 1048576"),
        (2, 300_000, ValueError, "out_height: expected at most 262140 pixels on a GPU, got 300000"),
    ],
)
def test_wrong_preprocessors(position, value, error, message):
    arguments = [*ARGUMENTS[:position], value, *ARGUMENTS[position + 1 :]]
    with pytest.raises(error, match=f"^{message}"):
        _ext.Preprocessor(*arguments)


def test_wrong_options():
    with pytest.raises(TypeError, match="dtype: expected float32 or float16, got float64"):
        _ext.Preprocessor(*ARGUMENTS, dtype="float64")
    with pytest.raises(ValueError, match="image: expected an even height and width for NV12"):
        _ext.Preprocessor(5, *ARGUMENTS[1:], pixels="nv12_bt709")
    with pytest.raises(ValueError, match=r"pixels: expected one of bgr, rgb, .*, got nv12"):
        _ext.Preprocessor(*ARGUMENTS, pixels="nv12")
    with pytest.raises(RuntimeError, match="CUDA device 50: expected a number"):
        _ext.Preprocessor(*ARGUMENTS, device=50)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"image": IMAGE}, TypeError, r"image: expected a DeviceArray .* got ndarray"),
        ({"image": None}, TypeError, r"image: expected a DeviceArray .* got NoneType"),
        ({"image": ((4, 6), "uint8")}, ValueError, r"image: expected shape \(4, 6, 3\), got"),
        ({"image": ((4, 6, 3), "float32")}, TypeError, "image: expected dtype uint8, got float32"),
        ({"out": ((3, 8, 7), "float32")}, ValueError, r"out: expected shape \(3, 8, 8\), got"),
        ({"out": ((3, 8, 8), "float16")}, TypeError, "out: expected dtype float32, got float16"),
        ({"chroma": ((2, 6), "uint8")}, ValueError, "chroma: expected None for bgr pixels"),
    ],
)
def test_wrong_frames(stream, change, error, message):
    arguments = {"image": ((4, 6, 3), "uint8"), "out": ((3, 8, 8), "float32")} | change
    arrays = {
        name: _ext.DeviceBuffer(4096).array(*value) if isinstance(value, tuple) else value
        for name, value in arguments.items()
    }
    with pytest.raises(error, match=f"^{message}"):
        _ext.Preprocessor(*ARGUMENTS).enqueue(**arrays, stream=stream)


def test_wrong_layouts(stream, to_device):
    preprocessor = _ext.Preprocessor(*ARGUMENTS)
    out = _ext.DeviceBuffer(4096).array((3, 8, 8), "float32")
    wide = to_device(np.zeros((4, 12, 3), np.uint8))
    preprocessor.enqueue(wide[:, 3:9], out, stream)
    stream.synchronize()
    for strides in [(36, 6, 1), (36, 3, 2), (9, 3, 1), (-36, 3, 1)]:
        gaps = type("Gaps", (), {})()
        changes = {"shape": (4, 6, 3), "strides": strides}
        gaps.__cuda_array_interface__ = wide.__cuda_array_interface__ | changes
        with pytest.raises(ValueError, match="image: expected contiguous pixels in rows"):
            preprocessor.enqueue(_ext.device_array(gaps, stream), out, stream)
    apart = _ext.DeviceBuffer(4096).array((3, 9, 8), "float32")[:, :8]
    with pytest.raises(ValueError, match="out: expected a C-contiguous array"):
        preprocessor.enqueue(wide[:, :6], apart, stream)


def test_nv12_needs_its_chroma(stream, to_device):
    preprocessor = _ext.Preprocessor(*ARGUMENTS, pixels="nv12_bt601")
    out = _ext.DeviceBuffer(4096).array((3, 8, 8), "float32")
    luma = to_device(np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match="chroma: expected the U and V of the image"):
        preprocessor.enqueue(luma, out, stream)
    with pytest.raises(ValueError, match=r"chroma: expected shape \(2, 6\), got \(4, 6\)"):
        preprocessor.enqueue(luma, out, stream, chroma=luma)


def test_the_caller_s_context_stays_current(driver, stream, to_device):
    before, after = ctypes.c_void_p(1), ctypes.c_void_p(2)
    driver.cuCtxGetCurrent(ctypes.byref(before))
    out = _ext.DeviceBuffer(4096).array((3, 8, 8), "float32")
    _ext.Preprocessor(*ARGUMENTS).enqueue(to_device(IMAGE), out, stream)
    driver.cuCtxGetCurrent(ctypes.byref(after))
    assert before.value == after.value
    stream.synchronize()
