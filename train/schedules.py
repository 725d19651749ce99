"""Learning rates."""

from __future__ import annotations

import math

from edgecount.train.config import TrainConfig


def learning_rate(step: int, config: TrainConfig, lr_drops: int = 0) -> float:
    """Return the rate of a step: a linear warm-up, then the config's schedule.

    Args:
        step: number of the step, from 0.
        config: the run.
        lr_drops: number of times that ``plateau`` has cut it.
    """
    peak = config.learning_rate
    if step < config.warmup:
        return peak * (step + 1) / config.warmup
    if config.schedule == "plateau":
        return peak * config.gamma**lr_drops
    if config.schedule == "step":
        passed = sum(step >= share * config.steps for share in config.milestones)
        return float(peak * config.gamma**passed)
    if config.schedule == "constant":
        return peak
    # Not down to 0 by default: the last steps of a run would teach nothing.
    end = config.cosine_end
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return peak * (end + (1.0 - end) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))
