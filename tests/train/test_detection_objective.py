"""The objective of detectors: each term by hand, and what is refused."""

import logging
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.data.sample import Crop, Sample  # noqa: E402
from edgecount.train.data.stack import stack_padded  # noqa: E402
from edgecount.train.engine import System  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.base import Level, Maps  # noqa: E402
from edgecount.train.objectives import build_objective  # noqa: E402

LIGHT = {"backbone": "mobilenet_v2", "width": 0.25, "channels": 16, "depth": 0, "levels": [8, 16]}
SIDE = 32


def objective(name, model=None, **options):
    return build_objective("detection", options, build_model(name, LIGHT | (model or {})))


def crop(boxes):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    return Crop(image, centres, centres[:, 0], boxes)


def levels(anchors, logit=-2.0, boxes=0.0, quality=None):
    """Return constant levels of strides 8 and 16 for one image."""
    made = []
    for side in (4, 2):
        logits = torch.full((1, anchors, side, side), logit)
        regressed = torch.full((1, 4 * anchors, side, side), boxes)
        extra = None if quality is None else torch.full((1, anchors, side, side), quality)
        made.append(Level(logits, regressed, extra))
    return made


def losses(made, of, *crops):
    targets = {"boxes": stack_padded([made.targets(one)["boxes"] for one in crops])}
    return {k: float(v) for k, v in made.losses(Maps(levels=tuple(of)), targets, 0.0).items()}


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def focal(p, error, *, poly, gamma=2.0, alpha=0.25):
    """Return alpha (-error^gamma log(1 - error) + error^(gamma + 1)): positives and background."""
    del p
    return alpha * (-(error**gamma) * math.log(1 - error) + poly * error ** (gamma + 1))


@pytest.mark.parametrize(
    ("name", "poly"), [("L_f", 0), ("poly-L_f", 1), ("L_m", 0), ("poly-L_m", 1)]
)
def test_scores_on_a_binary_map(name, poly):
    # a box of 32 x 32 px around the centre: FoveaBox gives it to stride 8 (16 to 64 px) and 16
    made = objective("foveabox", classification=name)
    got = losses(made, levels(1), crop([0, 0, 32, 32]))
    # a fovea of 12.8 px around (16, 16) has the cells of 8 px at 12 and 20; of 16 px it has
    # none, and takes the four cells that touch its centre
    positives, background = 4 + 4, 12
    p = sigmoid(-2.0)
    expected = positives * focal(p, 1 - p, poly=poly) + background * focal(p, p, poly=poly)
    assert got["scores"] == pytest.approx(expected / positives, rel=1e-5)


def test_places_outside_the_annotated_region_are_not_trained():
    # The left half is annotated, 8 of 16 cells of stride 8 and 2 of 4 of stride 16. Of the head in
    # it the fovea has two cells of stride 8 there, and touches both of stride 16; of the other
    # head, which lies right of it, all places are closed.
    made = objective("foveabox", classification="L_f")
    given = levels(1, boxes=0.25)
    for level in given:
        level.logits.requires_grad_()
        level.boxes.requires_grad_()
    region = torch.zeros(1, 1, SIDE, SIDE)
    region[..., :16] = 1.0
    boxes = [[0, 0, 32, 32], [22, 2, 32, 12]]
    targets = {"boxes": torch.from_numpy(made.targets(crop(boxes))["boxes"])[None]}
    terms = made.losses(Maps(levels=tuple(given)), {**targets, "region": region}, 0.0)
    p = sigmoid(-2.0)
    expected = 4 * focal(p, 1 - p, poly=0) + 6 * focal(p, p, poly=0)
    assert float(terms["scores"].detach()) == pytest.approx(expected / 4, rel=1e-5)
    sum(terms.values()).backward()
    for level, half in zip(given, (2, 1), strict=True):
        for maps in (level.logits, level.boxes):
            assert float(maps.grad[..., half:].abs().max()) == 0.0
            assert float(maps.grad[..., :half].abs().max()) > 0.0


@pytest.mark.parametrize("name", ["fcos", "foveabox", "retinanet"])
def test_a_head_outside_the_annotated_region_is_no_loss(name):
    made = objective(name)
    anchors = build_model(name, LIGHT).outputs[0].anchors
    given = Maps(levels=tuple(levels(anchors, quality=0.0 if name == "fcos" else None)))
    region = torch.zeros(1, 1, SIDE, SIDE)
    region[..., :16] = 1.0
    nobody, right = torch.zeros(1, 0, 4), torch.tensor([[[22.0, 4.0, 30.0, 12.0]]])
    if name != "retinanet":  # whose anchors of the left half reach over to it
        found = [
            {key: float(value) for key, value in terms.items()}
            for boxes in (nobody, right)
            for terms in [made.losses(given, {"boxes": boxes, "region": region}, 0.0)]
        ]
        assert found[0] == pytest.approx(found[1])
        assert found[0]["scores"] > 0
    terms = made.losses(given, {"boxes": right, "region": torch.zeros_like(region)}, 0.0)
    assert not any(float(value) for value in terms.values())


def test_alpha_may_weigh_the_background_as_in_retinanet():
    made = objective("foveabox", classification="L_f", balanced=True)
    got = losses(made, levels(1), crop([0, 0, 32, 32]))
    p = sigmoid(-2.0)
    expected = 8 * focal(p, 1 - p, poly=0) + 12 * focal(p, p, poly=0, alpha=0.75)
    assert got["scores"] == pytest.approx(expected / 8, rel=1e-5)


def test_fovea_boxes_are_logarithms_over_the_base_size():
    made = objective("foveabox", box_weight=2.0)
    got = losses(made, levels(1, boxes=0.25), crop([0, 0, 32, 32]))["boxes"]

    def smooth(error):
        return error**2 / 2 * 9 if abs(error) < 1 / 9 else abs(error) - 1 / 18

    total = 0.0
    for stride, centres in ((8, (12, 20)), (16, (8, 24))):
        for x in centres:
            for y in centres:
                for distance in (x, y, 32 - x, 32 - y):
                    total += smooth(0.25 - math.log(distance / stride / 4.0))
    assert got == pytest.approx(2.0 * total / 8, rel=1e-5)


def test_the_gaussian_target_is_the_heatmap_at_the_cell():
    made = objective("foveabox", classification="L_m", target="gaussian", beta=0.25, gamma=2.0)
    got = losses(made, levels(1), crop([0, 0, 32, 32]))["scores"]
    p_hat, total = sigmoid(-2.0), 0.0
    for stride in (8, 16):
        d = 2 * 32 / stride + 1
        sigma = d * (1 + math.exp(-d)) / 6
        apart = (4 / 8) if stride == 8 else 8 / 16  # cells, on both axes
        p = math.exp(-(2 * apart**2) / (2 * sigma**2))
        delta = abs(p - p_hat)
        total += 4 * 0.25 * p**0.25 * delta**2 * -math.log(1 - delta)
    total += 12 * focal(p_hat, p_hat, poly=0)
    assert got == pytest.approx(total / 8, rel=1e-5)


def test_retinanet_regresses_deltas_and_ignores_what_lies_between():
    model = {"scales": [1.0], "ratios": [1.0], "anchor_size": 2.0}  # 16 px and 32 px
    made = objective("retinanet", model, classification="L_f")
    # 16 x 11 px in the anchor of cell (1, 1): IoU 0.6875; of the others none has 0.4
    box = [4.0, 6.5, 20.0, 17.5]
    got = losses(made, levels(1), crop(box))
    p = sigmoid(-2.0)
    expected = focal(p, 1 - p, poly=0) + 19 * focal(p, p, poly=0)
    assert got["scores"] == pytest.approx(expected, rel=1e-5)
    grown = abs(math.log(11 / 16)) - 1 / 18
    assert got["boxes"] == pytest.approx(grown, rel=1e-5)
    # the four neighbours overlap it by 0.256: above 0.2 they are neither; the best anchor is kept
    options = {"classification": "L_f", "positive_iou": 0.9, "negative_iou": 0.2}
    between = losses(objective("retinanet", model, **options), levels(1), crop(box))
    expected = focal(p, 1 - p, poly=0) + 15 * focal(p, p, poly=0)
    assert between["scores"] == pytest.approx(expected, rel=1e-5)


def test_fcos_learns_centerness_and_giou():
    made = objective("fcos", {"norm": "none"}, quality_weight=3.0)
    box = [2.0, 4.0, 22.0, 24.0]  # half of 10 px: stride 8, whose cells around (12, 14)
    got = losses(made, levels(1, boxes=0.3, quality=0.5), crop(box))
    quality = giou = 0.0
    cells = 0
    for x in (4, 12, 20):
        for y in (4, 12, 20):
            sides = [x - 2, y - 4, 22 - x, 24 - y]
            if min(sides) <= 0:
                continue
            cells += 1
            target = math.sqrt(
                min(sides[0], sides[2]) / max(sides[0], sides[2])
                * min(sides[1], sides[3]) / max(sides[1], sides[3])
            )  # fmt: skip
            q = sigmoid(0.5)
            quality -= target * math.log(q) + (1 - target) * math.log(1 - q)
            d = 8 * math.exp(0.3)
            mine = [x - d, y - d, x + d, y + d]
            inner = [max(mine[0], 2), max(mine[1], 4), min(mine[2], 22), min(mine[3], 24)]
            hull = [min(mine[0], 2), min(mine[1], 4), max(mine[2], 22), max(mine[3], 24)]
            shared = (inner[2] - inner[0]) * (inner[3] - inner[1])
            union = 400 + 4 * d * d - shared
            whole = (hull[2] - hull[0]) * (hull[3] - hull[1])
            giou += 1 - (shared / union - (whole - union) / whole)
    assert cells == 6
    assert got["quality"] == pytest.approx(3.0 * quality / cells, rel=1e-5)
    assert got["boxes"] == pytest.approx(giou / cells, rel=1e-5)


def test_images_weigh_alike_and_padding_is_nobody():
    made = objective("foveabox")
    one, other = crop([[0, 0, 32, 32], [3, 3, 9, 9]]), crop([])
    pair = [
        Level(torch.cat([a.logits, a.logits]), torch.cat([a.boxes, a.boxes])) for a in levels(1)
    ]
    both = losses(made, pair, one, other)
    alone = [losses(made, levels(1), each) for each in (one, other)]
    for name in ("scores", "boxes"):
        assert both[name] == pytest.approx((alone[0][name] + alone[1][name]) / 2, rel=1e-5)
    assert alone[1]["boxes"] == 0.0


def test_a_box_without_area_is_a_pixel():
    made = objective("fcos", {"norm": "none"})
    boxes = made.targets(crop([10.0, 12.0, 10.0, 30.0]))["boxes"]
    np.testing.assert_array_equal(boxes, [[9.5, 12.0, 10.5, 30.0]])


def test_it_has_no_weights_of_the_network():
    assert not list(objective("retinanet").parameters())
    assert objective("retinanet").monitored == "boxes"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("fcos", {"shrink": 0.3}, r"objective\.shrink: FCOS has none; it takes centre_radius"),
        ("retinanet", {"negative_iou": 0.6}, r"objective\.negative_iou: expected 0 <="),
        ("foveabox", {"shrink": 1.5}, r"objective\.shrink: expected a share"),
        ("fcos", {"centre_radius": -1.0}, r"objective\.centre_radius: expected 0 or more"),
        ("fcos", {"gamma": -1.0}, r"objective\.gamma: expected 0 or more, got -1"),
        ("fcos", {"box_weight": -1.0}, r"objective\.box_weight: expected 0 or more"),
        ("fcos", {"alpha": 2.0, "balanced": True}, r"objective\.alpha: expected 0 to 1"),
        (
            "fcos",
            {"classification": "L_f", "target": "gaussian"},
            r"objective\.target: L_f is a loss of binary maps",
        ),
    ],
)
def test_what_does_not_fit_is_told(name, options, message):
    with pytest.raises(ConfigError, match=message):
        objective(name, **options)


def test_it_needs_a_detector():
    with pytest.raises(ConfigError, match="detection needs a network that gives boxes"):
        build_objective("detection", {}, build_model("mcnn"))


NETWORKS = {
    "retinanet": LIGHT | {"depth": 1, "anchor_size": 2.0},
    "fcos": LIGHT | {"depth": 1},
    "foveabox": LIGHT | {"depth": 1, "norm": "batch"},
    "yolov5": {"size": "n", "anchors": "heads"},
}


@pytest.mark.parametrize("target", ["binary", "gaussian", "iou"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_weight_gets_a_finite_gradient(name, target):
    torch.manual_seed(0)
    network = build_model(name, NETWORKS[name])
    made = build_objective("detection", {"target": target}, network)
    crops = [crop([[0, 0, 32, 32], [3, 5, 9, 11], [20, 2, 31, 14]]), crop([])]
    targets = made.batch_targets(crops, torch.device("cpu"))
    assert targets["boxes"].shape == (2, 3, 4)
    terms = System(network, made)(torch.randn(2, 3, 64, 64), targets, 0.0)
    torch.stack(list(terms.values())).sum().backward()
    for label, parameter in network.named_parameters():
        assert parameter.grad is not None, label
        assert parameter.grad.isfinite().all(), label
        if parameter.ndim > 1:
            assert parameter.grad.abs().max() > 0, label


def test_points_without_boxes_are_told(caplog):
    heads = np.array([[4, 4], [20, 20]], np.float32)
    boxes = np.array([[0, 0, 8, 8], [16, 16, 24, 24]], np.float32)
    boxed = Sample(Path("boxed.jpg"), heads, np.full(2, 8, np.float32), boxes)
    bare = Sample(Path("bare.jpg"), heads, np.full(2, 8, np.float32))
    nobody = Sample(Path("nobody.jpg"), heads[:0], np.zeros(0, np.float32))
    made = objective("fcos")
    with caplog.at_level(logging.WARNING):
        made.prepare([boxed, nobody])
        assert not caplog.messages
        made.prepare([boxed, bare, nobody])
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(
        "data: 1 of 2 images with people have points without boxes"
    )
    assert "such as bare.jpg" in caplog.messages[0]
