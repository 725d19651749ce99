"""`EdgeCounter(zoom=...)`: what its results are, whichever way frames come."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecount import Backend, BackendError, ConfigError, EdgeCounter, NV12Frame
from edgecount._options import check_zoom
from edgecount.manifest import (
    FusionSpec,
    InputSpec,
    IntervalSpec,
    Manifest,
    OutputSpec,
    PostprocessSpec,
)
from edgecount.runtime.pipeline import tiling
from edgecount.runtime.pipeline.preprocess import input_geometry
from edgecount.runtime.sources import Frame, Source

INPUT = InputSpec(mean=(0.0,) * 3, scale=(1 / 255,) * 3, multiple=8, min_side=8)
OUTPUTS = (OutputSpec("density", "density", 8, 10.0), OutputSpec("heat", "heatmap", 4))
MANIFEST = Manifest(
    name="brightest",
    version="1",
    description="Bright pixels are heads.",
    input=INPUT,
    outputs=OUTPUTS,
    postprocess=PostprocessSpec(
        threshold=0.3,
        fusion=FusionSpec(64, 2.0, 10.0),
        interval=IntervalSpec(0.9, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0),
    ),
)


def of_one_map(output: OutputSpec) -> Manifest:
    """Return a manifest without a second map to blend with."""
    heads = output.role == "heatmap"
    post = PostprocessSpec(threshold=0.3) if heads else PostprocessSpec()
    return dataclasses.replace(MANIFEST, outputs=(output,), postprocess=post)


class Brightest(Backend):
    """The heatmap is the brightest pixel of a cell, and the density its sum over 9 per person."""

    name = "brightest"

    def __init__(self):
        self.sizes = []

    def infer(self, inputs):
        image = inputs["image"][:, :1]
        self.sizes.append(image.shape[2:])
        batch, _, height, width = image.shape
        blocks = [image.reshape(batch, 1, height // n, n, width // n, n) for n in (4, 8)]
        return {
            "heat": blocks[0].max((3, 5)),
            "density": np.float32(10 / 9) * blocks[1].sum((3, 5)),
        }

    def close(self):
        """Have nothing to free."""


# A square crowd of 4 x 4 heads of 3 x 3 px, 5 px apart, and three people elsewhere.
CROWD = [(42 + 5 * i, 42 + 5 * j) for i in range(4) for j in range(4)]
HEADS = [*CROWD, (9, 90), (150, 20), (170, 100)]


def picture(heads=HEADS, size=(192, 128)):
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in heads:
        image[y - 1 : y + 2, x - 1 : x + 2] = 100
        image[y, x] = 255
    return image


def open_counter(manifest=MANIFEST, **options):
    return EdgeCounter(manifest, backend=Brightest(), **options)


def found_all(result, heads=HEADS, reach=3.0):
    """Every head has a point of its own near it."""
    distances = np.abs(result.points[:, None, :2] - (np.array(heads)[None] + 0.5)).max(2)
    return bool((distances <= reach).any(0).all()) and len(result.points) == len(heads)


def test_a_crowd_that_merges_is_told_apart_and_the_density_stays():
    with open_counter() as plain, open_counter(zoom=1) as zooming:
        once, twice = plain.count(picture()), zooming.count(picture())
    assert once.peak_count < len(HEADS)
    assert found_all(twice)
    assert twice.peak_count == len(HEADS)
    assert twice.density_count == once.density_count
    np.testing.assert_array_equal(twice.density, once.density)
    assert once.interval is not None
    assert twice.interval is None
    assert not twice.overflow
    assert twice.timings["infer"] > 0


def test_regions_that_are_set_meanwhile_are_those_of_the_next_frame():
    left, right = ([(x, 0), (x + 96, 0), (x + 96, 128), (x, 128)] for x in (0, 96))

    class Meanwhile(Brightest):
        def infer(self, inputs):
            if self.sizes:  # the enlarged part of the frame in hand
                counter.regions = later
            return super().infer(inputs)

    for later in ({"left": right, "right": left}, {"one": left}, {}):
        with open_counter(zoom=1, regions={"left": left, "right": right}) as counter:
            expected = counter.count(picture()).regions
        counter = EdgeCounter(
            MANIFEST, backend=Meanwhile(), zoom=1, regions={"left": left, "right": right}
        )
        with counter:
            assert counter.count(picture()).regions == expected
            assert counter.count(picture()).regions.keys() == later.keys()


def smoothstep(people):
    t = min(max((people - 2.0) / 8.0, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def test_the_count_blends_the_density_with_the_new_points_square_by_square():
    with open_counter(zoom=1, regions={"left": [(0, 0), (80, 0), (80, 128), (0, 128)]}) as counter:
        result = counter.count(picture())
    count = left = 0.0
    for top in range(0, 128, 64):
        for start in range(0, 192, 64):
            cells = result.density[top // 8 : top // 8 + 8, start // 8 : start // 8 + 8]
            x, y = result.points[:, 0], result.points[:, 1]
            here = (x >= start) & (x < start + 64) & (y >= top) & (y < top + 64)
            weight = smoothstep(cells.sum())
            count += weight * cells.sum() + (1 - weight) * here.sum()
            columns = np.clip(10 - start // 8, 0, 8)  # the region ends at 80 px: 10 cells
            inside = here & (x < 80)
            left += weight * cells[:, :columns].sum() + (1 - weight) * inside.sum()
    assert result.count == pytest.approx(count, rel=1e-6)
    assert result.regions["left"].count == pytest.approx(left, rel=1e-6)
    assert result.regions["left"].peak_count == pytest.approx((result.points[:, 0] < 80).sum())
    assert result.regions["left"].density_count == pytest.approx(
        result.density[:, :10].sum(), rel=1e-6
    )


def test_without_a_dense_region_the_counts_are_those_of_one_pass():
    image = picture([(9, 90), (150, 20)])
    sparse = of_one_map(OUTPUTS[1])  # the heatmap alone
    for manifest in (MANIFEST, sparse):
        with open_counter(manifest) as plain, open_counter(manifest, zoom=2) as zooming:
            once, twice = plain.count(image), zooming.count(image)
        assert twice.peak_count == once.peak_count == 2
        assert twice.count == pytest.approx(once.count, rel=1e-6)


def test_a_grid_blends_by_the_frame_and_not_by_64_px():
    fusion = FusionSpec(64, 2.0, 10.0, grid=4)
    post = dataclasses.replace(MANIFEST.postprocess, fusion=fusion)
    manifest = dataclasses.replace(MANIFEST, postprocess=post)
    size = 200, 104  # 25 x 13 cells of 8 px: four columns of 7, 7, 7 and 4, rows of 4, 4, 4 and 1
    heads = [(x * size[0] // 192, y * size[1] // 128) for x, y in HEADS]
    image = picture(heads, size)
    for zoom in (0, 1):
        with open_counter(manifest, zoom=zoom) as counter:
            result = counter.count(image)
        expected = 0.0
        for rows in ((0, 4), (4, 8), (8, 12), (12, 13)):
            for columns in ((0, 7), (7, 14), (14, 21), (21, 25)):
                people = float(result.density[slice(*rows), slice(*columns)].sum())
                area = (rows[1] - rows[0]) * (columns[1] - columns[0])
                weight = smoothstep(people * 64 / area)  # 64 cells of 8 px are 64 x 64 px
                x, y = result.points[:, 0] / 8, result.points[:, 1] / 8
                here = (x >= columns[0]) & (x < columns[1]) & (y >= rows[0]) & (y < rows[1])
                expected += weight * people + (1 - weight) * int(here.sum())
        assert result.count == pytest.approx(expected, rel=1e-6)


def test_the_first_points_are_listed_and_all_are_counted():
    with open_counter(zoom=1) as whole, open_counter(zoom=1, capacity=5) as cut:
        everything, first = whole.count(picture()), cut.count(picture())
    np.testing.assert_array_equal(first.points, everything.points[:5])
    assert first.overflow
    assert first.peak_count == len(HEADS)
    assert first.count == everything.count


class Frames(Source):
    name, length, fps = "frames", None, None

    def __init__(self, images):
        self.images = images

    def frames(self):
        for index, image in enumerate(self.images):
            yield Frame(image, self.name, index, float(index))


def test_every_way_of_counting_zooms():
    images = [picture(), picture(CROWD), picture([(30, 30)])]
    with open_counter(zoom=1, workers=2) as counter:
        single = [counter.count(image) for image in images]
        ways = [
            counter.count_batch(images),
            [outcome.result() for outcome in counter.count_each(images)],
            list(counter.stream(Frames(images))),
            [result for _, result in counter.count_frames(Frames(images))],
            list(counter.stream_many([Frames(images)])),
        ]
    for way in ways:
        assert [result.count for result in way] == [result.count for result in single]
        for got, expected in zip(way, single, strict=True):
            np.testing.assert_array_equal(got.points, expected.points)


def test_nv12_is_cut_as_it_is():
    image = picture()
    luma = (16 + image[:, :, 0] * (219 / 255)).round().astype(np.uint8)
    chroma = np.full((64, 192), 128, np.uint8)
    with open_counter(zoom=1) as counter:
        assert found_all(counter.count(NV12Frame(luma, chroma)))


def test_shrunk_frames_are_cut_from_their_own_pixels():
    large = np.kron(picture(), np.ones((2, 2, 1), np.uint8))
    with open_counter(zoom=1, max_side=192) as counter:
        result = counter.count(large)
    assert found_all(result, [(2 * x, 2 * y) for x, y in HEADS], reach=6.0)


def test_tiles_change_nothing(monkeypatch):
    image = picture(size=(200, 136))
    with open_counter(zoom=1) as counter:
        whole = counter.count(image)
    for name, value in (("LARGEST_PLANE", 96 * 96), ("CORE", 64), ("HALO", 16)):
        monkeypatch.setattr(tiling, name, value)
    input_geometry.cache_clear()
    backend = Brightest()
    try:
        with EdgeCounter(MANIFEST, backend=backend, zoom=1) as counter:
            tiled = counter.count(image)
    finally:
        input_geometry.cache_clear()
    assert max(max(size) for size in backend.sizes) <= 96
    assert tiled.count == pytest.approx(whole.count)
    np.testing.assert_allclose(tiled.points, whole.points, atol=1e-4)


def test_a_region_that_the_model_cannot_take_is_told_at_any_frame():
    static = dataclasses.replace(INPUT, static_size=(128, 192))
    manifest = dataclasses.replace(MANIFEST, input=static)
    with open_counter(manifest, zoom=1) as counter:
        with pytest.raises(
            ConfigError, match=r"zoom: parts of a frame of 192 x 128 pixels.*at most"
        ):
            counter.count(np.zeros((128, 192, 3), np.uint8))
        small = picture([(20, 20), (25, 20)], (40, 32))
        assert counter.count(small).peak_count == 2


@pytest.mark.parametrize("zoom", [-1, 3, 1.0, True, "1", None])
def test_zoom_is_a_small_number(zoom):
    with pytest.raises(ConfigError, match="zoom: expected a whole number from 0 to 2, got"):
        open_counter(zoom=zoom)


def test_a_model_without_a_heatmap_cannot_zoom():
    manifest = of_one_map(OUTPUTS[0])
    with pytest.raises(ConfigError, match=r"zoom: expected a model with a heatmap.*gives density"):
        open_counter(manifest, zoom=1)


def test_a_detector_cannot_zoom_and_names_what_it_gives_once():
    levels = [(f"{role}_{at}", role, at) for at in (4, 8) for role in ("scores", "boxes")]
    outputs = tuple(OutputSpec(name, role, stride) for name, role, stride in levels)
    with pytest.raises(ConfigError, match=r"gives scores and boxes$"):
        check_zoom(1, dataclasses.replace(MANIFEST, outputs=outputs, postprocess=PostprocessSpec()))


def test_a_fault_of_a_region_names_the_output():
    class Spoilt(Brightest):
        def infer(self, inputs):
            maps = super().infer(inputs)
            if len(self.sizes) > 1:
                maps["density"][0, 0, 0, 0] = np.nan
            return maps

    expected = pytest.raises(BackendError, match=r"output 'density' .density. of brightest")
    with EdgeCounter(MANIFEST, backend=Spoilt(), zoom=1) as counter, expected:
        counter.count(picture())


def test_onnx_files_zoom(make_model):
    """Squares of 2 x 2 px are a quarter of a cell, below the threshold; enlarged they fill one."""
    path: Path = make_model(roles=("density", "heatmap"))
    image = np.zeros((96, 128, 3), np.uint8)
    places = [(x, y) for x in range(24, 96, 7) for y in range(24, 72, 6)]
    for x, y in places:
        image[y : y + 2, x : x + 2] = 255
    with EdgeCounter(path, backend="onnxruntime", zoom=1) as counter:
        zoomed = counter.count(image)
    with EdgeCounter(path, backend="onnxruntime") as counter:
        assert counter.count(image).peak_count == 0
    assert zoomed.peak_count > 0
    assert zoomed.density_count == pytest.approx(len(places) * 4 / 64, rel=1e-4)
    for x, y, _ in zoomed.points:
        assert min(max(abs(x - a - 1), abs(y - b - 1)) for a, b in places) < 2
