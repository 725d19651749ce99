"""A training run from a config: wires the parts and keeps the books."""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from edgecount.errors import ConfigError, OutputError
from edgecount.train.checkpoint import (
    config_to_dict,
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from edgecount.train.config import DataConfig, TrainConfig
from edgecount.train.data.mixture import Mixture, Part
from edgecount.train.data.readers import Sample, read_samples
from edgecount.train.data.splits import split
from edgecount.train.engine import Learner, evaluate, train_steps
from edgecount.train.models import build_model
from edgecount.train.models.weights import load_backbone, restore_batch_norm

log = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Train; returns the checkpoint's path.

    ``out`` gets ``last.pt`` (the newest state: weights, averaged weights, optimiser, step) and
    ``log.jsonl``, a line for every ``log_every`` steps and validation.

    Args:
        config: the run.
        out: a folder; made if missing.
        resume: go on from ``last.pt`` when it is there.
        report: called with each line of the log.

    Raises:
        ConfigError, SourceError, ModelError: a wrong config, missing data or weights.
        OutputError: ``out`` cannot be written, or holds a run and ``resume`` is off.
    """
    checkpoint = out / "last.pt"
    if checkpoint.exists() and not resume:
        raise OutputError(f"{checkpoint} exists: resume it, or choose another folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {out}: {error}") from error
    torch.manual_seed(config.seed)
    parts, validation = load_data(config, out)
    mixture = Mixture(parts, crop=config.crop, batch_size=config.batch_size, seed=config.seed)
    learner = make_learner(config, mixture, fresh=not checkpoint.exists())
    if checkpoint.exists():
        state = load_checkpoint(checkpoint)
        _check_same_run(state["config"], config_to_dict(config))
        _restore(learner, state)
        log.info("resumed at step %d", learner.step)
    with (out / "log.jsonl").open("a") as lines:

        def write(record: dict[str, Any]) -> None:
            lines.write(json.dumps(record) + "\n")
            lines.flush()
            if report:
                report(record)

        while learner.step < config.steps:
            _stretch(learner, mixture, validation, config, write)
            save_checkpoint(checkpoint, _state(learner, config))
    _finish(checkpoint, validation)
    return checkpoint


def _finish(checkpoint: Path, validation: dict[str, list[Sample]]) -> None:
    """Fit threshold and blend on the held-out images and keep them with the weights."""
    state = load_checkpoint(checkpoint)
    if "postprocess" in state or not validation:
        return
    from edgecount.train.fusion import fit_postprocess

    network, _ = load_network(checkpoint)
    spec = fit_postprocess(network, list(validation.values()))
    save_checkpoint(checkpoint, {**state, "postprocess": dataclasses.asdict(spec)})


LOG_EVERY = 100


def _stretch(
    learner: Learner,
    mixture: Mixture,
    validation: dict[str, list[Sample]],
    config: TrainConfig,
    write: Callable[[dict[str, Any]], None],
) -> None:
    """The steps up to the next line of the log, and the validation if one is due."""
    last = min(learner.step - learner.step % LOG_EVERY + LOG_EVERY, config.steps)
    started, first = time.perf_counter(), learner.step
    losses = train_steps(learner, mixture.batches(first, last), config)
    seconds = (time.perf_counter() - started) / (last - first)
    write({"step": last, **losses, "seconds_per_step": seconds})
    if last % config.evaluate_every == 0 or last == config.steps:
        for name, samples in validation.items():
            metrics = evaluate(learner.averaged.module, samples, config.precision)
            write({"step": last, "validation": name, **metrics})


def load_data(config: TrainConfig, out: Path) -> tuple[list[Part], dict[str, list[Sample]]]:
    """The mixture's parts and the held-out samples by split name."""
    parts, validation = [], {}
    for entry in config.data:
        samples: list[Sample] = []
        if entry.reader == "scenes":
            samples = _render(entry, out, config.seed)
        elif entry.reader != "blank":
            samples = read_samples(entry.reader, config.root() / entry.path)
        if entry.split:
            samples, validation[entry.split] = split(samples, entry.split)
        if not samples and entry.reader != "blank":
            raise ConfigError(f"data.split: {entry.split} holds out every image of the set")
        parts.append(Part(samples, entry.weight, entry.scale))
    return parts, validation


def _render(entry: DataConfig, out: Path, seed: int) -> list[Sample]:
    from edgecount.train.data.scenes import render_samples

    if entry.number < 1:
        raise ConfigError("data.number: expected how many scenes to render, at least 1")
    return render_samples(out / "scenes", entry.number, seed)


def make_learner(config: TrainConfig, mixture: Mixture, *, fresh: bool) -> Learner:
    """Network, averaged network, optimiser and schedule; backbone weights when ``fresh``."""
    network = build_model(config.model)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if fresh and config.backbone_weights:
        backbone = network.backbone
        assert isinstance(backbone, nn.Module)
        load_backbone(backbone, config.root() / config.backbone_weights)
        restore_batch_norm(backbone, (mixture.batch(step).images for step in range(4)))
    averaged = AveragedModel(
        network,
        multi_avg_fn=get_ema_multi_avg_fn(config.ema),  # type: ignore[no-untyped-call]
        use_buffers=True,
    )
    decayed = [p for p in network.parameters() if p.ndim > 1]
    rest = [p for p in network.parameters() if p.ndim <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": decayed, "weight_decay": config.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda s: _rate(s, config))
    return Learner(network, averaged, optimiser, schedule)


def _rate(step: int, config: TrainConfig) -> float:
    """Linear warm-up, then half a cosine down to a hundredth."""
    if step < config.warmup:
        return (step + 1) / config.warmup
    done = (step - config.warmup) / max(config.steps - config.warmup, 1)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _state(learner: Learner, config: TrainConfig) -> dict[str, Any]:
    return {
        "config": config_to_dict(config),
        "step": learner.step,
        "network": learner.network.state_dict(),
        "ema": learner.averaged.module.state_dict(),
        "averages": int(learner.averaged.n_averaged),
        "optimiser": learner.optimiser.state_dict(),
        "schedule": learner.schedule.state_dict(),
    }


def _check_same_run(before: dict[str, Any], now: dict[str, Any]) -> None:
    """A resumed run may end elsewhere, and validate at other times, but is otherwise the same."""
    free = {"steps", "evaluate_every", "data_root"}
    changed = sorted(key for key in now if key not in free and now[key] != before.get(key))
    if changed:
        raise ConfigError(
            f"resume: {', '.join(changed)} differ from the checkpoint's; expected the config it "
            "was started with: restore it, or train in another folder"
        )


def _restore(learner: Learner, state: dict[str, Any]) -> None:
    learner.step = state["step"]
    learner.network.load_state_dict(state["network"])
    learner.averaged.module.load_state_dict(state["ema"])
    learner.averaged.n_averaged.fill_(state["averages"])
    learner.optimiser.load_state_dict(state["optimiser"])
    learner.schedule.load_state_dict(state["schedule"])
