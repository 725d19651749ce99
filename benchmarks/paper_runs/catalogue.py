"""The experiments: what the papers compare, as trainings of minutes on one core."""

from __future__ import annotations

from paper_runs.experiment import Experiment, Variant
from paper_runs.measures import counts, counts_by_set, fusion_and_zoom, ranked_counts


def steps(number: int, precision: str = "bf16") -> tuple[str, ...]:
    """Return the changes for a run of so many steps, validated at its end alone.

    No weights are chosen by the held-out images, and nothing is written but what is measured.
    bfloat16 is up to twice as fast on CPUs that compute in it; weights and losses stay float32.
    """
    every = (f"steps={number}", f"evaluate_every={number}", "validation_images=0", "log_every=100")
    every += (f"precision={precision}",)
    return (*every, "early_stop=0", "ema=0", "report=false", "tensorboard=false", "workers=1")


_COUNTED = {"MAE": "count.mae", "RMSE": "count.rmse", "bias": "count.bias"}
_FOUND = {"points' F1": "points.f1", "points' AP": "average_precision.points.box.ap"}
_BOXES = {"AP50": "average_precision.boxes.ap50", "AP": "average_precision.boxes.ap"}
_SHA = "reader: shanghaitech, path: shanghaitech/part_A/train, split: shanghaitech_a, shrink: 0.5"

_SHB = (
    "reader: shanghaitech, path: shanghaitech/part_B/train, split: shanghaitech_b, "
    "exclude: [IMG_108], shrink: 0.5"
)

_OF_A = """ShanghaiTech A at half size; the 60 held-out images of the training set
(`train/splits/shanghaitech_a.txt`) measure. The paper trains at the whole size, far longer, and
measures the official test set: an ordering can be compared, numbers cannot."""
_OF_SCUT = """A copy of 700 of SCUT-HEAD's images, both parts together, at most 832 px wide; the
100 of `train/splits/scut_head.txt` measure. The threshold of the counted points is fitted to them,
by F1, in every variant alike. The paper has each part's 500 test images at full size, networks of
another size from random weights, and far longer trainings: an ordering can be compared, numbers
cannot."""

BSL_IN_MCNN = Experiment(
    name="bsl-in-mcnn",
    title="CFANet's background-aware structural loss against MSE, in MCNN",
    config="mcnn-sha",
    changes=(
        f"data=[{{{_SHA}, scale: [1.0, 1.0]}}]",
        "model.start=he",
        "learning_rate=2.0e-3",
        "schedule=cosine",
        "warmup=100",
        "clip_norm=1.0",
        *steps(1500),
    ),
    variants={
        "MSE": Variant(("objective.loss=mse",), {"": "110.2"}),
        "BSL": Variant(("objective.loss=bsl",), {"": "88.2"}),
    },
    measure=counts,
    columns=_COUNTED | {"PSNR": "psnr", "SSIM": "ssim", "false recognition": "false_recognition"},
    paper_columns="the paper's MAE",
    notes=(
        _OF_A,
        """MCNN starts from He et al.'s weights: from Gaussians of 0.01, as printed, most of its
ReLUs died in 2,000 steps at a rate of 3e-3, and at 1e-3 it learned more slowly. The gradient is
clipped in both variants alike: that of BSL's background share goes as one over the people counted,
and is huge at the start.""",
    ),
)

MASK_FOCAL_CENTERNET = Experiment(
    name="mask-focal-centernet",
    title="L_h against L_m and poly-1 L_m in a light CenterNet (Mask Focal Loss, Tables III to VI)",
    config="centernet-light",
    changes=steps(400),
    variants={
        "L_h": Variant(("objective.heatmap_loss=L_h",), {"": "1.92 / 2.23 / 39.42"}),
        "L_m": Variant(("objective.heatmap_loss=L_m",), {"": "- / - / 36.99"}),
        "poly-L_m": Variant(("objective.heatmap_loss=poly-L_m",), {"": "1.26 / 1.78 / 35.83"}),
    },
    measure=ranked_counts,
    columns=_COUNTED | _FOUND,
    paper_columns="the paper's MAE on SCUT-HEAD A / B / GTA_Head (CenterNet with DLA-34)",
    notes=(_OF_SCUT,),
)

MASK_FOCAL_RETINANET = Experiment(
    name="mask-focal-retinanet",
    title="L_f against poly-1 L_m in a light RetinaNet (Mask Focal Loss, Tables VI to VIII)",
    config="retinanet-light",
    changes=("crop=224", *steps(400)),
    variants={
        "L_f": Variant(("objective.classification=L_f",), {"": "2.35 / 4.04 / 48.60"}),
        "poly-L_m": Variant(("objective.classification=poly-L_m",), {"": "1.90 / 2.13 / 44.63"}),
    },
    measure=ranked_counts,
    columns=_COUNTED | _BOXES | _FOUND,
    paper_columns="the paper's MAE on SCUT-HEAD A / B / GTA_Head (RetinaNet with ResNet-50)",
    notes=(
        _OF_SCUT,
        "On binary targets poly-1 L_m is L_f with one more power of the error.",
    ),
)

HSRNET_TABLE_5 = Experiment(
    name="hsrnet-table-5",
    title="HSRNet's Table 5 with a thin VGG-16",
    config="hsrnet",
    changes=(
        f"data=[{{{_SHA}, scales: [0.8, 1.0, 1.2], window: quarters}}]",
        "model.width=0.25",
        "model.pretrained_layers=13",
        "model.start=mean",
        "backbone_weights=",
        "batch_size=2",
        "learning_rate=3.0e-4",
        "schedule=cosine",
        *steps(700, "fp32"),
    ),
    start=(
        "model.recalibration=false",
        "model.channel_focus=false",
        "model.spatial_focus=false",
        "objective.scale_consistency=0.0",
        "objective.sigma=6",
        "batch_size=4",
        "learning_rate=1.0e-3",
        "warmup=50",
        "clip_norm=1.0",
        *steps(5000, "fp32"),
    ),
    variants={
        name: Variant(
            (
                f"model.recalibration={str(srm).lower()}",
                f"model.channel_focus={str(cf).lower()}",
                f"model.spatial_focus={str(sf).lower()}",
                f"objective.scale_consistency={weight}",
            ),
            {"": paper},
        )
        for name, srm, cf, sf, weight, paper in (
            ("baseline", False, False, False, 0.0, "75.6 / 118.7"),
            ("SRM", True, False, False, 0.0, "73.7 / 114.8"),
            ("SRM-CF", True, True, False, 0.0, "69.9 / 108.9"),
            ("SRM-SF", True, False, True, 0.0, "68.8 / 107.2"),
            ("SRM-CF-SF", True, True, True, 0.0, "65.1 / 104.3"),
            ("SRM-CF-SF-SC", True, True, True, 1.0, "62.3 / 100.3"),
        )
    },
    measure=counts,
    columns=_COUNTED | {"PSNR": "psnr", "SSIM": "ssim"},
    paper_columns="the paper's MAE / RMSE",
    notes=(
        _OF_A,
        """A quarter of VGG-16's channels, for which there are no ImageNet weights as the paper's: a
baseline with kernels of 6 px was trained from random weights first (5,000 steps, 24 minutes of a
core, MAE 152), because 700 steps from random weights count worse than a constant. Every variant
takes its convolutions from there; focus and recalibration are new. Mirrored crops, a rate of 3e-4
and starts as means, so that they learn in minutes.""",
    ),
)

RAZ_FUSION_AND_ZOOM = Experiment(
    name="raz-fusion-and-zoom",
    title="RAZ-Net's two-stream fusion and zoom, on an edge model",
    config="edgecount-s-shb",
    changes=(
        f"data=[{{{_SHB}, scale: [0.7, 1.5]}}]",
        "crop=192",
        "batch_size=8",
        "weight_decay=1.0e-4",
        "warmup=100",
        *steps(1000),
    ),
    variants={"edgecount-s": Variant()},
    measure=fusion_and_zoom,
    columns={
        "MAE": "mae",
        "RMSE": "rmse",
        "bias": "bias",
        "points' MAE": "points_mae",
        "F1": "f1",
        "F1 at 8 px": "f1_8",
        "s an image": "seconds",
    },
    notes=(
        """ShanghaiTech B at half size; the 80 held-out images of `train/splits/shanghaitech_b.txt`
measure. One training a seed; the rows are ways of counting with it. Density, points and their
blends (in squares of 64 px; on the paper's 4 x 4 grid): threshold and ends are fitted to the other
half of the images. Zoom: the model's own threshold and blend, fitted to all of them, with dense
regions enlarged and searched again so many times. The paper's comparisons of these are figures
without numbers in the notes that this implementation rests on.""",
    ),
)

EDGE_NETWORKS = Experiment(
    name="edge-networks",
    title="What the edge model could be built of",
    config="edgecount-s-shb",
    changes=(
        f"data=[{{{_SHA}, scale: [0.7, 1.5]}}, {{{_SHB}, scale: [0.7, 1.5]}}]",
        "crop=192",
        "batch_size=8",
        "warmup=100",
        *steps(1000),
    ),
    variants={
        "MobileNetV2": Variant(),
        "zero-inflated": Variant(("model.zero_inflated=true", "objective.counts=zip")),
        "density-of-4-px": Variant(("model.density_stride=4",)),
        "EfficientNet-Lite0": Variant(
            (
                "model.backbone=efficientnet_lite0",
                "backbone_weights=more/weights/efficientnet_lite0_*.npz",
            )
        ),
    },
    measure=counts_by_set,
    columns=_COUNTED | {"density's MAE": "density_count.mae", "points' F1": "points.f1"},
    paper_columns="",
    notes=(
        """ShanghaiTech A and B at half size, as many crops of each; the 60 and 80 held-out images
of `train/splits/` measure, each set by itself, to which together the blend and the threshold are
fitted. All variants start from ImageNet weights: MobileNetV2 at width 1.0 (the released
edgecount-s, Poisson counts of 8x8 px), a zero-inflated Poisson density, a density in cells of 4x4
px of the heatmap's features, and the first thirteen blocks of EfficientNet-Lite0.""",
        """They have 1.45, 1.45, 1.41 and 1.52 million parameters. An image of 640x480 takes 1,
0.98, 0.98 and 1.06 times the CPU time of the first one in ONNX Runtime (medians of 25, by
turns).""",
        """Against MobileNetV2 with the same seed, EfficientNet-Lite0 has a smaller MAE on part A
with each of the three (by 27, 20 and 28) and on part B with two of them; the density in cells of
4 px one on part B with each (by 1.3, 2.2 and 0.7) and the best points. The zero-inflated density
shows no gain.""",
    ),
)

EXPERIMENTS: tuple[Experiment, ...] = (
    BSL_IN_MCNN,
    MASK_FOCAL_CENTERNET,
    MASK_FOCAL_RETINANET,
    HSRNET_TABLE_5,
    RAZ_FUSION_AND_ZOOM,
    EDGE_NETWORKS,
)
