"""The experiments: what the papers compare, as trainings of minutes on one core."""

from __future__ import annotations

from paper_runs.experiment import Experiment, Variant
from paper_runs.measures import counts

_SHA_HALF = (
    "[{reader: shanghaitech, path: shanghaitech/part_A/train, split: shanghaitech_a, "
    "shrink: 0.5, scale: [1.0, 1.0]}]"
)
_COUNTED = {"MAE": "count.mae", "RMSE": "count.rmse", "bias": "count.bias"}
# nothing but what is measured: no report, no weights chosen by the held-out images
_QUIET = ("report=false", "tensorboard=false", "workers=1")


def steps(number: int) -> tuple[str, ...]:
    """Return the changes for a run of so many steps, validated at its end alone."""
    return (f"steps={number}", f"evaluate_every={number}", "log_every=100")


BSL_IN_MCNN = Experiment(
    name="bsl-in-mcnn",
    title="CFANet's background-aware structural loss against MSE, in MCNN",
    config="mcnn",
    changes=(
        f"data={_SHA_HALF}",
        "crop=half",
        "objective.sigma=0",
        "learning_rate=1.0e-3",
        "ema=0",
        *steps(3000),
        *_QUIET,
    ),
    variants={
        "MSE": Variant(("objective.loss=mse",), {"": "110.2"}),
        "BSL": Variant(("objective.loss=bsl",), {"": "88.2"}),
    },
    measure=counts,
    columns=_COUNTED | {"PSNR": "psnr", "SSIM": "ssim", "false recognition": "false_recognition"},
    paper_columns="paper: MAE on the official test set, whole size",
    notes=(
        """ShanghaiTech A at half size, 60 held-out images of the training set
(`train/splits/shanghaitech_a.txt`). The paper trains MCNN at the whole size, far longer, and
measures the official test set: an ordering, not its numbers.""",
    ),
)

EXPERIMENTS: tuple[Experiment, ...] = (BSL_IN_MCNN,)
