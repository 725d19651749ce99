"""A training run from a config: puts the parts together and keeps the log and checkpoints."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from edgecount.errors import ConfigError, OutputError
from edgecount.train.checkpoint import (
    config_of,
    load_checkpoint,
    load_network,
    save_checkpoint,
)
from edgecount.train.config import TrainConfig, config_to_dict
from edgecount.train.data.assemble import SCENES, Data, load_data
from edgecount.train.data.device.mixture import DeviceMixture
from edgecount.train.data.drawn import KEY, as_begun, records_to_dict
from edgecount.train.data.mixture import BatchStream, Mixture
from edgecount.train.data.needs import KEYS, KEYS_OF_RESUMED, check_needs
from edgecount.train.devices import keep_freed_memory, open_fabric
from edgecount.train.engine import Learner, evaluate, train_steps
from edgecount.train.journal import Journal, OnRecord
from edgecount.train.learner import (
    check_crop,
    load_initial_weights,
    make_learner,
    make_network,
    restore,
    start_state,
    state_of,
)
from edgecount.train.lock import run_folder
from edgecount.train.models.base import Network
from edgecount.train.objectives import Objective, build_objective
from edgecount.train.objectives.distil import Distilled
from edgecount.train.open_trainable import open_trainable
from edgecount.train.schedules import learning_rate

if TYPE_CHECKING:
    from lightning_fabric import Fabric

log = logging.getLogger(__name__)

OnProgress = Callable[[str, int, int], None]


def train(
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    report: OnRecord | None = None,
    progress: OnProgress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Path:
    """Train a network and return the path of the best checkpoint.

    ``out`` gets ``last.pt`` (the newest state: weights, averaged weights, optimiser, step),
    ``best.pt`` (the averaged weights of the best validation), ``log.jsonl``, a line for every
    ``log_every`` steps and validation, and ``report/``. Started by ``torchrun``, several processes
    share each batch; the first one writes.

    Args:
        config: the run.
        out: a folder; made if missing. A second training in it is refused while this one runs.
        resume: go on from ``last.pt`` when it is there.
        device: ``auto``, ``cpu`` or ``cuda``.
        report: called with each line of the log.
        progress: called while held-out images are counted, with what is done in words, and how
            many images of how many.
        stop: asked before each stretch of steps whether to end here, to be resumed later.

    Raises:
        ConfigError, SourceError, ModelError: a wrong config, missing data or weights. Of a run
            that did not begin nothing stays in ``out``, nor the folder if it is new.
        MissingExtraError: a package of the report is not installed; nothing stays then, either.
        OutputError: ``out`` cannot be written, holds a run and ``resume`` is off, or another
            process trains in it.
        EdgeCountError: the loss is not finite.
    """
    fabric = open_fabric(device, config.precision)
    # The first process makes the folder: it alone writes to it.
    first = fabric.is_global_zero
    held = run_folder(out, drafts=[SCENES]) if first else nullcontext(_do_nothing)
    with held as begin:
        return _run(config, out, fabric, resume, report, progress or _show_nothing, stop, begin)


def _show_nothing(what: str, done: int, total: int) -> None:
    """Take the progress of a run that nobody watches."""


def _do_nothing() -> None:
    """Begin a run in a process that has no folder to keep."""


def _run(
    config: TrainConfig,
    out: Path,
    fabric: Fabric,
    resume: bool,
    report: OnRecord | None,
    progress: OnProgress,
    stop: Callable[[], bool] | None,
    begin: Callable[[], None],
) -> Path:
    """Train in a folder that is held; see :func:`train`."""
    last = out / "last.pt"
    if last.exists() and not resume:
        raise OutputError(f"{last} exists: resume it, or choose another folder")
    if fabric.device.type == "cpu":
        keep_freed_memory()
    if config.batch_size % fabric.world_size:
        raise ConfigError(
            f"batch_size: expected a multiple of the {fabric.world_size} processes, "
            f"got {config.batch_size}"
        )
    if not any(config.trains_on(entry) for entry in config.data):
        raise ConfigError(
            "data.weight: expected a number above 0 in one set at least that is not in leave_out, "
            "got none"
        )
    before = load_checkpoint(last) if last.exists() else None
    if before:
        config = _sized_as_begun(config, before)
        _check_same_run(config_to_dict(config_of(before)), config_to_dict(config))
    check_needs(config, KEYS_OF_RESUMED if before else KEYS)
    torch.manual_seed(config.seed)
    parts = make_parts(config)
    with fabric.rank_zero_first():  # which renders the scenes that the others read
        data = load_data(config, out, before, None if before else start_state(config))
    if config.report and data.validation:
        from edgecount.train.report import check_packages

        check_packages()
    learner, mixture = start_learner(config, parts, data, fabric, before)
    _record(out / "best.pt", data, config, before if fabric.is_global_zero else None)
    begin()
    zero, limit = fabric.is_global_zero, config.early_stop or float("inf")
    with closing(Journal(out, config, report, active=zero, step=learner.step)) as journal:
        while learner.step < config.steps and learner.stale_validations < limit:
            if stop is not None and stop():
                log.info("stopped at step %d of %d", learner.step, config.steps)
                return last
            _stretch(learner, mixture, data, config, out, journal, progress)
    if fabric.is_global_zero:
        _finish(out, data, config, journal, fabric.device, progress)
    return out / ("best.pt" if (out / "best.pt").exists() else "last.pt")


def _sized_as_begun(config: TrainConfig, before: dict[str, Any]) -> TrainConfig:
    """Return the config that a resumed run goes on with; say where held-out images are resized."""
    begun = as_begun(config, before)
    if begun.held_out_size != config.held_out_size:
        held = [one for one in config.data if one.holds_out or one.name in config.leave_out]
        resized = [one.name for one in held if one.shrink < 1 or one.enlarge > 1]
        if resized:
            log.info(
                "the images held out of %s are resized as those trained on (held_out_size: %s), "
                "as an older version began the run",
                ", ".join(resized),
                begun.held_out_size,
            )
    return begun


def _record(best: Path, data: Data, config: TrainConfig, before: dict[str, Any] | None) -> None:
    """Write into the best weights of a run of older code, which is resumed, what it holds out."""
    if before and KEY not in before and best.exists():
        state = load_checkpoint(best)
        kept = {**state["config"], "held_out_size": config.held_out_size}
        save_checkpoint(best, {**state, "config": kept, KEY: records_to_dict(data.drawn)})


def make_parts(config: TrainConfig) -> tuple[Network, Objective]:
    """Return a new network and its objective, which the crops of a config fit.

    Raises:
        ConfigError, ModelError: see :func:`train`.
    """
    network = make_network(config)
    objective = _make_objective(config, network)
    check_crop(config, network, objective)
    return network, objective


def start_learner(
    config: TrainConfig,
    parts: tuple[Network, Objective],
    data: Data,
    fabric: Fabric,
    before: dict[str, Any] | None,
) -> tuple[Learner, BatchStream]:
    """Return a new learner, or the one of an earlier run, and the batches for it."""
    network, objective = parts
    mixture = _make_mixture(config, data, objective, network, fabric)
    if before is None:  # otherwise the checkpoint has what the objective learned of the data
        objective.prepare([sample for one in data.components for sample in one.samples])
        load_initial_weights(network, config, mixture)
    learner = make_learner(network, objective, config, fabric)
    if before:
        restore(learner, before)
        if config_of(before).validation_images != config.validation_images:
            # An error of other images is nothing to hold those to come against.
            learner.best, learner.stale_validations = float("inf"), 0
        log.info("resumed at step %d", learner.step)
    return learner, mixture


def _make_objective(config: TrainConfig, network: Network) -> Objective:
    objective = build_objective(config.objective.name, config.objective.options, network)
    if not config.teacher.checkpoint:
        return objective
    teacher, _, _ = open_trainable(config.weights_path(config.teacher.checkpoint))
    return Distilled(network, objective, teacher, config.teacher)


def _make_mixture(
    config: TrainConfig, data: Data, objective: Objective, network: Network, fabric: Fabric
) -> BatchStream:
    place = {"rank": fabric.global_rank, "processes": fabric.world_size}
    sets, spec = data.components, network.input
    if config.loader == "device":
        targets = objective.batch_targets
        return DeviceMixture(sets, config, targets, spec, device=fabric.device, **place)
    return Mixture(sets, config, objective.targets, spec, **place)


def _stretch(
    learner: Learner,
    mixture: BatchStream,
    data: Data,
    config: TrainConfig,
    out: Path,
    journal: Journal,
    progress: OnProgress,
) -> None:
    """Train up to the next line of the log, validate if it is time, write a checkpoint."""
    first = learner.step
    # Stretches end at multiples of both, so that a resumed run writes the same lines.
    last = min(first - first % config.log_every + config.log_every, config.steps)
    due = config.evaluate_every - first % config.evaluate_every
    last = min(last, first + due)
    journal.start()
    losses = train_steps(
        learner,
        mixture.batches(first, last),
        config,
        lambda step: learning_rate(step, config, learner.lr_drops),
    )
    journal.steps(first, last, losses)
    improved = False
    if data.validation and (last % config.evaluate_every == 0 or last == config.steps):
        improved = _validate(learner, data, config, journal, progress)
    if learner.fabric.is_global_zero:
        state = {**state_of(learner, config), KEY: records_to_dict(data.drawn)}
        if improved:
            kept = ("config", "step", "ema", "objective", KEY)
            save_checkpoint(out / "best.pt", {name: state[name] for name in kept})
        save_checkpoint(out / "last.pt", state)


def _validate(
    learner: Learner, data: Data, config: TrainConfig, journal: Journal, progress: OnProgress
) -> bool:
    """Evaluate on every held-out set; return True if it is the best validation so far."""
    network = learner.averaged.module
    assert isinstance(network, Network)
    if learner.fabric.world_size > 1:
        # Each process has batch norm statistics of its own; the first one's are kept.
        for buffer in network.buffers():
            torch.distributed.broadcast(buffer, 0)
    shares = []
    for name, samples in data.validation.items():
        metrics = evaluate(
            network,
            samples,
            learner.fabric,
            role=learner.objective.monitored,
            progress=_counting(progress, f"validation of {name}", len(samples)),
        )
        journal.validation(learner.step, name, metrics)
        # Relative to the set's people, or its densest set alone would choose the best weights.
        people = sum(len(sample.points) for sample in samples) / len(samples)
        shares.append(metrics["mae"] / max(people, 1.0))
    error = sum(shares) / len(shares)
    if error < learner.best:
        learner.best, learner.stale_validations = error, 0
        return True
    learner.stale_validations += 1
    if config.schedule == "plateau" and learner.stale_validations % config.patience == 0:
        learner.lr_drops += 1
    return False


def _counting(progress: OnProgress, what: str, total: int) -> Callable[[], None]:
    """Return a function that counts one image more with each call."""
    done = itertools.count(1)
    return lambda: progress(what, next(done), total)


def _finish(
    out: Path,
    data: Data,
    config: TrainConfig,
    journal: Journal,
    device: torch.device,
    progress: OnProgress,
) -> None:
    """Fit threshold and blend on the held-out images, keep them with the weights, and report."""
    if not data.validation:
        log.warning("nothing is held out: no threshold is fitted, and there is no report")
        return
    from edgecount.train.manifest import postprocess_to_dict
    from edgecount.train.postprocess.fusion import fit_postprocess

    total = sum(map(len, data.validation.values()))
    # last.pt, which tells that a run is done, at the end.
    for path in (out / "best.pt", out / "last.pt"):
        if path.exists():
            state = load_checkpoint(path)
            if "postprocess" not in state:  # a run that is resumed at its end has it already
                network, _ = load_network(path)
                spec = fit_postprocess(
                    network.to(device),
                    list(data.validation.values()),
                    progress=_counting(progress, f"threshold of {path.name}", total),
                )
                save_checkpoint(path, {**state, "postprocess": postprocess_to_dict(spec)})
    if config.report:
        from edgecount.train.report.run import report_run

        report_run(
            out,
            data.validation,
            journal.path,
            device=device.type,
            progress=_counting(progress, "report", total),
        )


def _check_same_run(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a resumed run is the same, but for where it ends and when it validates."""
    free = {"steps", "evaluate_every", "early_stop", "log_every", "data_root", "workers"}
    free |= {"cache_gb", "tensorboard", "report", "loader", "validation_images"}
    changed = sorted(key for key in now if key not in free and now[key] != before.get(key))
    if changed:
        raise ConfigError(
            f"resume: {', '.join(changed)} differ from the checkpoint's; expected the config it "
            "was started with: restore it, or train in another folder"
        )
