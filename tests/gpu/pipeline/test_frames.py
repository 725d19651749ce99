"""EdgeCounter through a GPU: the same counts as on the CPU, whatever way the frames come."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from gpu_frames import CORNERS, HALF, assert_same, on_device

from edgecount import EdgeCounter, NV12Frame, PixelFrame, _ext
from edgecount.errors import ConfigError, InputError
from edgecount.manifest import FusionSpec

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(
    "size", [(128, 96), (1, 1), (1, 77), (131, 1), (97, 61), (64, 64), (600, 40)]
)
def test_a_frame_counts_as_on_the_cpu(make_engine, tiny_model, noise, size) -> None:
    frame = noise(*size)
    options: dict[str, Any] = {"regions": {"half": HALF}, "threshold": 0.3}
    with EdgeCounter(tiny_model, backend=make_engine(), **options) as counter:
        assert_same(counter.count(frame), EdgeCounter(tiny_model, **options).count(frame))
        assert_same(counter.count(frame), EdgeCounter(tiny_model, **options).count(frame))


def test_what_a_result_says(make_engine, tiny_model, squares) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(), capacity=2)
    result = counter.count(squares(128, 96, *CORNERS))
    assert result.count == 3
    assert len(result.points) == 2
    assert result.overflow
    assert (result.backend, result.source, result.frame) == ("host-engine", None, None)
    assert all(ms >= 0 for ms in result.timings.values())


def test_more_points_than_come_back_with_the_counts(make_engine, tiny_model) -> None:
    frame = np.zeros((512, 512, 3), np.uint8)
    frame[::8, ::8] = 255
    options: dict[str, Any] = {"threshold": 0.01}
    found = EdgeCounter(tiny_model, backend=make_engine(), **options).count(frame)
    assert len(found.points) == 64 * 64
    assert_same(found, EdgeCounter(tiny_model, **options).count(frame))


def test_strided_frames_files_and_what_numpy_converts(
    make_engine, tiny_model, noise, tmp_path
) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    frame = noise(160, 120)
    path = tmp_path / "frame.png"
    cv2.imwrite(str(path), frame)
    for form in (frame[5:100, 7:130], frame[:, :, 0], frame[::-1], path, frame.astype(np.uint16)):
        assert_same(counter.count(form), cpu.count(form))
    assert counter.count(path).source == str(path)


class Foreign:
    """Another library's array."""

    def __init__(self, array: _ext.DeviceArray) -> None:
        self.array = array
        self.shape = array.shape
        self.__cuda_array_interface__ = array.__cuda_array_interface__


@pytest.mark.parametrize("wrap", [lambda array: array, Foreign])
def test_frames_on_the_gpu_are_taken_as_they_are(make_engine, tiny_model, noise, wrap) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    frame = noise(128, 96)
    device = on_device(frame)
    assert_same(counter.count(wrap(device)), cpu.count(frame))
    assert_same(counter.count(wrap(device[8:72, 16:80])), cpu.count(frame[8:72, 16:80]))
    mixed = [frame, wrap(device), frame]
    for found in counter.count_batch(mixed):
        assert_same(found, cpu.count(frame))


def test_nv12_from_either_side(make_engine, tiny_model, noise) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    buffer = np.random.default_rng(3).integers(0, 256, (144, 128), np.uint8)
    expected = cpu.count(NV12Frame.from_buffer(buffer))
    assert_same(counter.count(NV12Frame.from_buffer(buffer)), expected)
    assert_same(counter.count(NV12Frame.from_buffer(on_device(buffer))), expected)
    planes = NV12Frame(on_device(buffer[:96]), on_device(buffer[96:]))
    assert_same(counter.count(planes), expected)


def with_alpha(bgr: np.ndarray) -> np.ndarray:
    """Return BGR with a fourth channel, which no count may depend on."""
    alpha = np.random.default_rng(2).integers(0, 256, (*bgr.shape[:2], 1), np.uint8)
    return np.concatenate([bgr, alpha], axis=2)


@pytest.mark.parametrize("zoom", [0, 1])
@pytest.mark.parametrize(
    ("order", "form"),
    [
        ("rgb", lambda bgr: np.ascontiguousarray(bgr[:, :, ::-1])),
        ("BGRx", with_alpha),
        ("rgba", lambda bgr: with_alpha(bgr[:, :, ::-1])),
        ("grey", lambda bgr: bgr[:, :, 0].copy()),
        ("gray", lambda bgr: bgr[:, :, :1].copy()),
    ],
)
def test_named_orders_count_like_bgr(make_engine, tiny_model, noise, order, form, zoom) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(), zoom=zoom)
    frame = noise(128, 96)
    pixels = form(frame)
    if order in ("grey", "gray"):
        frame = np.repeat(frame[:, :, :1], 3, axis=2)
    expected = EdgeCounter(tiny_model, zoom=zoom).count(frame)
    device = on_device(np.pad(pixels, ((0, 0), (0, 5)) + ((0, 0),) * (pixels.ndim - 2)))
    for given in (pixels, on_device(pixels), device[:, :128]):
        assert_same(counter.count(PixelFrame(given, order)), expected)


@pytest.mark.parametrize("full_range", [False, True])
def test_nv12_of_another_matrix_counts_as_on_the_cpu(make_engine, tiny_model, full_range) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    buffer = np.random.default_rng(3).integers(0, 256, (144, 128), np.uint8)
    expected = cpu.count(NV12Frame.from_buffer(buffer, "bt709", full_range))
    assert expected.density.sum() != cpu.count(NV12Frame.from_buffer(buffer)).density.sum()
    luma, chroma = on_device(buffer[:96, :, None]), on_device(buffer[96:, :, None])
    mixed = [
        NV12Frame(buffer[:96], buffer[96:], "bt709", full_range),
        NV12Frame(luma, chroma, "bt709", full_range),
        NV12Frame.from_buffer(buffer),
    ]
    found = counter.count_batch(mixed)
    assert_same(found[0], expected)
    assert_same(found[1], expected)
    assert_same(found[2], cpu.count(mixed[2]))


class Plane:
    """An array of a library that gives the interface and nothing else."""

    def __init__(self, array: _ext.DeviceArray) -> None:
        self._kept = array
        self.__cuda_array_interface__ = array.__cuda_array_interface__


def test_chroma_in_pairs_and_arrays_without_a_shape(make_engine, tiny_model) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    buffer = np.random.default_rng(4).integers(0, 256, (144, 128), np.uint8)
    expected = cpu.count(NV12Frame.from_buffer(buffer))
    luma, pairs = on_device(buffer[:96]), on_device(buffer[96:].reshape(48, 64, 2))
    for frame in (NV12Frame(luma, pairs), NV12Frame(Plane(luma), Plane(pairs))):
        assert_same(counter.count(frame), expected)
        assert_same(counter.count_batch([frame, frame])[1], expected)
    frame = np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8)
    assert_same(counter.count_batch([Plane(on_device(frame))])[0], cpu.count(frame))


class Unwilling:
    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, **_: Any) -> Any:
        raise BufferError("it is being trained")


def test_what_another_library_refuses_is_an_input_error(make_engine, tiny_model) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine())
    with pytest.raises(InputError, match=r"Unwilling.*being trained"):
        counter.count(Unwilling())


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((8, 8), np.uint8), r"of shape \(8, 8\): name what it is, .* NV12Frame.from_buf"),
        (np.zeros((8, 8, 1), np.uint8), r"of shape \(8, 8, 1\): name what it is, PixelFrame"),
        (np.zeros((8, 8, 4), np.uint8), r"of shape \(8, 8, 4\): name its order, PixelFrame"),
        (np.zeros((8, 8, 2), np.uint8), r"of shape \(8, 8, 2\)$"),
    ],
)
def test_refuses_other_arrays_on_the_gpu(make_engine, tiny_model, array, message) -> None:
    with pytest.raises(InputError, match=message):
        EdgeCounter(tiny_model, backend=make_engine()).count(on_device(array))


class Named(Foreign):
    """An image that tells its format, as a ``cudaImage`` of jetson-utils does."""

    def __init__(self, array: _ext.DeviceArray, told: object) -> None:
        super().__init__(array)
        self.format = told


def test_red_and_blue_are_not_exchanged_where_an_array_tells_its_format(
    make_engine, tiny_model, noise
) -> None:
    counter, cpu = EdgeCounter(tiny_model, backend=make_engine()), EdgeCounter(tiny_model)
    frame = noise(64, 64)
    array = on_device(frame)
    with pytest.raises(InputError, match=r"BGR order, got a Named of format 'rgb8': .*\"rgb\"\)"):
        counter.count(Named(array, "rgb8"))
    four = Named(on_device(with_alpha(frame)), "bgra8")
    with pytest.raises(InputError, match=r"RGB order, got .* 'bgra8': .*\(frame, \"bgra\"\)"):
        counter.count(PixelFrame(four, "rgba"))
    rgb = PixelFrame(Named(array, "rgb8"), "rgb")
    assert_same(counter.count(rgb), cpu.count(frame[:, :, ::-1]))
    for told in ("bgr8", "gray8", 7):
        assert_same(counter.count(Named(array, told)), cpu.count(frame))


def test_a_cpu_engine_says_where_a_gpu_frame_can_go(tiny_model) -> None:
    with pytest.raises(InputError, match="on a GPU, and what counts it runs on the CPU"):
        EdgeCounter(tiny_model).count(on_device(np.zeros((8, 8, 3), np.uint8)))


def test_frames_that_are_zoomed_into_go_by_way_of_the_host(make_engine, tiny_model, noise) -> None:
    options: dict[str, Any] = {"regions": {"half": HALF}, "threshold": 0.3, "zoom": 1}
    counter = EdgeCounter(tiny_model, backend=make_engine(batches=(2, 4)), **options)
    cpu = EdgeCounter(tiny_model, **options)
    frame = noise(128, 96)
    expected = cpu.count(frame)
    assert_same(counter.count(frame), expected)
    assert_same(counter.count(on_device(frame)), expected)
    for found in counter.count_batch([frame, on_device(frame)]):
        assert_same(found, expected)
    buffer = np.random.default_rng(3).integers(0, 256, (144, 128), np.uint8)
    planes = NV12Frame(on_device(buffer[:96]), on_device(buffer[96:]))
    assert_same(counter.count(planes), cpu.count(NV12Frame.from_buffer(buffer)))


def test_a_grid_of_fusion_cells_counts_as_on_the_cpu(make_engine, make_model, noise) -> None:
    model = make_model(fusion=FusionSpec(64, 0.5, 4.0, grid=4))
    counter, cpu = EdgeCounter(model, backend=make_engine()), EdgeCounter(model)
    for size in ((128, 96), (136, 104), (600, 40), (40, 600)):
        assert_same(counter.count(noise(*size)), cpu.count(noise(*size)))


def test_frames_in_tiles_go_by_way_of_the_host(make_engine, make_model, noise) -> None:
    model = make_model()
    frame = noise(2112, 2080)
    counter = EdgeCounter(model, backend=make_engine(), max_side=None)
    expected = EdgeCounter(model, max_side=None).count(frame)
    assert_same(counter.count(frame), expected)
    assert_same(counter.count(on_device(frame)), expected)


def test_counts_without_the_density(make_engine, tiny_model, noise) -> None:
    options: dict[str, Any] = {"regions": {"half": HALF}, "threshold": 0.3, "density": False}
    counter = EdgeCounter(tiny_model, backend=make_engine(), **options)
    cpu = EdgeCounter(tiny_model, **options)
    for found, frame in zip(
        counter.count_batch(map(noise, (128, 97), (96, 61))),
        map(noise, (128, 97), (96, 61)),
        strict=True,
    ):
        expected = cpu.count(frame)
        assert found.to_dict(points=True) | {"timings_ms": 0, "backend": ""} == expected.to_dict(
            points=True
        ) | {"timings_ms": 0, "backend": ""}
        with pytest.raises(ConfigError, match="density=False"):
            found.density.sum()


def test_regions_can_be_changed_between_frames(make_engine, tiny_model, squares) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine(), regions={"half": HALF})
    frame = squares(128, 96, *CORNERS)
    assert counter.count(frame).regions["half"].count == 2
    counter.regions = {"all": [(0, 0), (128, 0), (128, 96), (0, 96)]}
    assert counter.count(frame).regions["all"].count == 3
    counter.regions = None
    assert counter.count(frame).regions == {}


def test_results_are_independent_of_later_frames(make_engine, tiny_model, noise) -> None:
    counter = EdgeCounter(tiny_model, backend=make_engine())
    first = counter.count(noise(128, 96))
    kept = first.points.copy(), first.density.copy()
    for seed in range(1, 4):
        counter.count(noise(128, 96, seed))
    np.testing.assert_array_equal(first.points, kept[0])
    np.testing.assert_array_equal(first.density, kept[1])


def test_without_the_density_it_stays_on_the_gpu(
    make_engine, tiny_model, squares, monkeypatch
) -> None:
    kept: list[bool] = []
    real = _ext.MapCounter

    def make(*sizes: Any, keep_density: bool, **options: Any) -> _ext.MapCounter:
        kept.append(keep_density)
        return real(*sizes, keep_density=keep_density, **options)

    monkeypatch.setattr(_ext, "MapCounter", make)
    frame = squares(128, 96, *CORNERS)
    whole, lean = (
        EdgeCounter(tiny_model, backend=make_engine(), density=density).count(frame)
        for density in (True, False)
    )
    assert kept == [True, False]
    assert (lean.count, lean.density_count) == (whole.count, whole.density_count)
    assert whole.density.sum() > 1
    with pytest.raises(ConfigError, match="opened with density=False"):
        lean.density.sum()
