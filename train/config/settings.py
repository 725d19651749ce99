"""The settings of a training run, checked where types alone cannot."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from edgecount._documents import shown
from edgecount._options import MAX_PIXELS
from edgecount.errors import ConfigError
from edgecount.models import list_models, model_path


def _check(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise ConfigError(f"{name}: expected {expected}, got {shown(got)}")


@dataclass(frozen=True)
class NamedOptions:
    """The name of a network or an objective, with its own options.

    In YAML it is a name, or ``{name: ..., option: value, ...}``.

    Attributes:
        name: key in the table of networks or of objectives.
        options: keyword options of its class.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DataConfig:
    """One set of the training mixture.

    Attributes:
        reader: a key of :data:`edgecount.train.data.READERS`, ``scenes`` (rendered crowds),
            ``patterns`` (drawn fruit, leaves, books, stones and the like, without people) or
            ``blank`` (images of nothing).
        path: the set's folder, relative to ``data_root``.
        split: the list of held-out images, a file of ``splits/`` or the path of one.
        exclude: names of images that are neither trained on nor held out.
        only: pattern of the names of the images that are read, such as ``PartA_*``; empty: all.
        holdout: without a list, the share of the images that is held out, drawn by their names, and
            kept in the run's checkpoints; 0: all train.
        folds: number of parts, equal in size, for cross-validation (UCF_CC_50's is of 5): one is
            held out. Which image is in which part is fixed; 0: no parts.
        fold: number of the part that is held out, from 1.
        weight: the set's share of the crops; 0: the whole set is held out, as a place that is
            never trained on.
        scale: the range of random scales, lower and upper.
        scales: the scales themselves, such as ``[0.8, 1.0, 1.2]``, each as often as the others, in
            place of the range; at 1.0 the image's own pixels are taken.
        native: the share of the crops that are cut at scale 1 exactly, pixel for pixel: a deployed
            frame is not resampled, and is sharper than anything that is.
        mirror: whether half of the crops are mirrored.
        window: region of the crops: ``free`` (anywhere), or ``quarters`` (the image's four quarters
            and windows of that size, as HSRNet and CSRNet do).
        number: number of scenes to render.
        shrink: factor, at most 1, by which every image that is trained on is made smaller.
        enlarge: factor, at least 1, by which every image that is trained on is made larger, as far
            as ``max_side`` allows: for sets of small images, such as UCSD's. What is held out is
            measured as a deployed model sees it, see ``held_out_size``.
        unannotated: what pictures are that have no annotation: ``empty`` (without people), left
            out (``skip``), an ``error``, or what is ``usual`` for the reader.
        accept_damaged: whether damaged images are trained on, as far as they can be decoded.
        max_pixels: most pixels of an image; a larger one is an error.
    """

    reader: str
    path: str = ""
    split: str = ""
    exclude: tuple[str, ...] = ()
    only: str = ""
    holdout: float = 0.0
    folds: int = 0
    fold: int = 1
    weight: float = 1.0
    scale: tuple[float, float] = (0.7, 1.4)
    scales: tuple[float, ...] = ()
    native: float = 0.0
    mirror: bool = True
    window: Literal["free", "quarters"] = "free"
    number: int = 0
    shrink: float = 1.0
    enlarge: float = 1.0
    unannotated: Literal["usual", "empty", "skip", "error"] = "usual"
    accept_damaged: bool = False
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        low, high = self.scale
        _check(0 < low <= high, "data.scale", "[low, high] with 0 < low <= high", [low, high])
        positive = all(scale > 0 for scale in self.scales)
        _check(positive, "data.scales", "numbers above 0", list(self.scales))
        _check(self.weight >= 0, "data.weight", "0 or more", self.weight)
        _check(0 <= self.native <= 1, "data.native", "a share in [0, 1]", self.native)
        _check(0 <= self.holdout < 1, "data.holdout", "a share in [0, 1)", self.holdout)
        _check(self.folds == 0 or self.folds >= 2, "data.folds", "0, or 2 or more", self.folds)
        last = max(self.folds, 1)
        _check(1 <= self.fold <= last, "data.fold", f"1 to {last} (folds)", self.fold)
        alone = not (self.folds and (self.split or self.holdout or not self.weight))
        _check(alone, "data.folds", "no split, no holdout, and a weight", self.folds)
        _check(0 < self.shrink <= 1, "data.shrink", "a number in (0, 1]", self.shrink)
        _check(self.enlarge >= 1, "data.enlarge", "1 or more", self.enlarge)
        both = self.shrink < 1 and self.enlarge > 1
        _check(not both, "data.enlarge", "1 where shrink is below 1", self.enlarge)
        _check(self.max_pixels >= 1, "data.max_pixels", "1 or more", self.max_pixels)

    @property
    def holds_out(self) -> bool:
        """Return whether images of the set are held out."""
        return bool(self.split or self.holdout or self.folds or not self.weight)

    @property
    def name(self) -> str:
        """Return the name under which the set, or what is held out of it, is measured."""
        if self.split:
            return Path(self.split).stem
        path = self.path.strip("/.").replace("/", "-") or self.reader
        return f"{path}-fold{self.fold}" if self.folds else path


@dataclass(frozen=True)
class PhotometricAugmentation:
    """How often crops get another light, noise or resampling.

    Attributes:
        probability: probability that a crop is changed at all; the others are given one is.
        grey: no colour.
        night: darkness.
        blur: blur of a lens out of focus.
        low_resolution: shrunk and enlarged again, as a digital zoom does.
        noise: noise of the sensor.
        jpeg: strong JPEG compression.
        kernels: resizing by a kernel drawn from nearest, linear, cubic, area and Lanczos, in place
            of the one that suits the scale.
        sharpen: an unsharp mask, with its halos, as cameras and video encoders apply it.
        chroma: colour at half the resolution, as in 4:2:0 video.
        recompress: JPEG of quality 50 to 97 with 4:4:4, 4:2:2 or 4:2:0 colour.
    """

    probability: float = 1.0
    grey: float = 0.15
    night: float = 0.05
    blur: float = 0.1
    low_resolution: float = 0.05
    noise: float = 0.1
    jpeg: float = 0.1
    kernels: float = 0.0
    sharpen: float = 0.0
    chroma: float = 0.0
    recompress: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check(0 <= value <= 1, f"photometric.{name}", "a probability in [0, 1]", value)


@dataclass(frozen=True)
class Teacher:
    """A trained network whose maps are further targets; see `edgecount.train.objectives.distil`.

    Attributes:
        checkpoint: its ``best.pt``, relative to ``data_root``, or a deployed model as of
            ``initial_weights``; empty: no teacher.
        density: weight of the likelihood of its block counts.
        heatmap: weight of the divergence from its heatmap.
    """

    checkpoint: str = ""
    density: float = 1.0
    heatmap: float = 0.5

    def __post_init__(self) -> None:
        for name in ("density", "heatmap"):
            value = getattr(self, name)
            _check(value >= 0, f"teacher.{name}", "0 or more", value)


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: the network, one of :data:`edgecount.train.models.MODELS`.
        objective: the training targets and losses, one of
            :data:`edgecount.train.objectives.OBJECTIVES`.
        data: the sets of the training mixture.
        leave_out: names of sets that are not trained on and are held out whole, whatever their
            entries say: their errors are those on cameras that the model never saw. A set is
            called after its list (``split``), else after its folder.
        data_root: folder of the data; ``$NAME`` is taken from the environment.
        backbone_weights: ImageNet weights of the backbone (.npz, .pth, .safetensors), relative to
            ``data_root``; empty starts from random.
        initial_weights: a checkpoint of an earlier run whose weights this one starts from,
            relative to ``data_root``; what has another name or shape starts anew. Or a deployed
            model (a bundled one's name, or an .onnx; the network without norms, ``folded: true``),
            or the same network's weights of another program (.pth, .npz, .safetensors, .h5).
        initial_except: weights whose names start with one of these are not taken from
            ``initial_weights``: they start anew, or from ``backbone_weights``.
        teacher: a trained network to learn from as well.
        prune_from: a checkpoint of the same network with more channels, relative to
            ``data_root``, whose most important channels are the start; no deployed model.
        grow_from: a checkpoint of the same network with fewer channels, relative to ``data_root``,
            or a deployed model as in ``initial_weights``: the run starts at its counts, and trains
            the channels that it has more. It goes with no other start.
        freeze: weights whose names start with one of these stay as they are.
        crop: side of the square training crops in px, or their height and width; or ``half``: half
            of each side of the crop's own image, times the crop's scale, so that every crop is a
            quarter of its image and none is padded. Objectives of density maps take crops of any
            size, others need multiples of the network's largest stride.
        max_side: longest side in px of an image, in training and validation and before the trained
            model; larger ones are shrunk to it.
        batch_size: crops a step, over all processes. With ``crop: half`` those of different sizes
            pass the network one size after the other, and the loss is the mean over all.
        steps: optimiser steps.
        optimiser: adamw, adam or sgd.
        learning_rate: peak of the learning rate.
        objective_rate: peak of the learning rate of the objective's own weights (HSRNet's Eq. 9);
            0: the same.
        momentum: momentum of sgd.
        weight_decay: weight decay of convolution weights, which are the only ones with one.
        schedule: ``cosine`` (down to ``cosine_end``), ``step`` (times ``gamma`` at each milestone),
            ``plateau`` (times ``gamma`` after ``patience`` validations without progress) or
            ``constant``.
        cosine_end: share of the learning rate that ``cosine`` ends at.
        warmup: steps of linear rise before the schedule.
        milestones: milestones of ``step``, as shares of the run.
        gamma: factor of ``step`` and ``plateau``.
        patience: patience of ``plateau``, in validations.
        ema: decay of the averaged weights, which are evaluated and exported; 0: no average.
        freeze_bn: the share of the run after which batch norms are frozen: they keep their
            statistics and use them, so that the last part trains the very function that is
            deployed; 1: never.
        clip_norm: largest norm of the gradient; 0 does not clip.
        precision: ``fp32``, ``bf16`` or ``fp16`` (mixed; with fp16 the loss scale starts anew
            when a run is resumed).
        photometric: probabilities of grey, dark, blurred crops and so on.
        evaluate_every: steps between validations.
        validation_images: images of each held-out set that are validated and reported on, evenly
            chosen; 0: all.
        held_out_size: ``deployed``: held-out images are of the size that a deployed model sees,
            which only ``max_side`` makes smaller; ``trained``: of that of ``shrink`` and
            ``enlarge``, whose errors are not those of the exported model: to compare networks.
        early_stop: validations without progress that end the run; 0 never.
        loader: ``threads``: crops are cut on the CPU, in threads; ``device``: all images are
            decoded once and kept on the device that trains, which cuts the crops. For GPUs, which
            the threads cannot keep busy.
        workers: threads that read images and cut or draw crops.
        cache_gb: memory for decoded images, in GB; with ``loader: device`` it is the device's, and
            all images have to fit.
        log_every: steps between lines of the log, each with a checkpoint.
        tensorboard: write for TensorBoard too, where it is installed.
        report: draw the report when the run ends.
        seed: seed of batches and initial weights.
        paper: the paper and the table, figure or section whose row the run reproduces, for
            ``edgecount train --list``; empty: none.
    """

    model: NamedOptions
    data: tuple[DataConfig, ...]
    objective: NamedOptions = field(default_factory=lambda: NamedOptions("edge"))
    leave_out: tuple[str, ...] = ()
    data_root: str = "$EDGECOUNT_DATA"
    backbone_weights: str = ""
    initial_weights: str = ""
    initial_except: tuple[str, ...] = ()
    prune_from: str = ""
    grow_from: str = ""
    teacher: Teacher = field(default_factory=Teacher)
    freeze: tuple[str, ...] = ()
    crop: tuple[int, int] | Literal["half"] = (320, 320)
    max_side: int = 2048
    batch_size: int = 8
    steps: int = 6000
    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float = 1e-3
    objective_rate: float = 0.0
    momentum: float = 0.95
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "step", "plateau", "constant"] = "cosine"
    cosine_end: float = 0.01
    warmup: int = 200
    milestones: tuple[float, ...] = (0.6, 0.85)
    gamma: float = 0.5
    patience: int = 5
    ema: float = 0.998
    freeze_bn: float = 1.0
    clip_norm: float = 5.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    photometric: PhotometricAugmentation = field(default_factory=PhotometricAugmentation)
    evaluate_every: int = 1000
    validation_images: int = 0
    held_out_size: Literal["deployed", "trained"] = "deployed"
    early_stop: int = 0
    loader: Literal["threads", "device"] = "threads"
    workers: int = 1
    cache_gb: float = 4.0
    log_every: int = 100
    tensorboard: bool = True
    report: bool = True
    seed: int = 0
    paper: str = ""

    def __post_init__(self) -> None:
        """Check what types alone cannot."""
        if not self.data:
            raise ConfigError("data: expected at least one set")
        values = vars(self)
        for name in (
            "batch_size",
            "steps",
            "evaluate_every",
            "log_every",
            "workers",
            "patience",
            "max_side",
        ):
            _check(values[name] >= 1, name, "1 or more", values[name])
        for name in (
            "warmup",
            "weight_decay",
            "objective_rate",
            "clip_norm",
            "early_stop",
            "cache_gb",
            "seed",
            "validation_images",
        ):
            _check(values[name] >= 0, name, "0 or more", values[name])
        for name in ("learning_rate", "gamma"):
            _check(values[name] > 0, name, "a number above 0", values[name])
        for name in ("ema", "momentum"):
            _check(0 <= values[name] < 1, name, "a number in [0, 1)", values[name])
        _check(0 <= self.cosine_end <= 1, "cosine_end", "a share in [0, 1]", self.cosine_end)
        _check(0 <= self.freeze_bn <= 1, "freeze_bn", "a share in [0, 1]", self.freeze_bn)
        shares = all(0 < share < 1 for share in self.milestones)
        _check(shares, "milestones", "shares in (0, 1)", self.milestones)
        self._check_crop()
        self._check_leave_out()
        self._check_start()

    def trains_on(self, entry: DataConfig) -> bool:
        """Return whether crops are taken from a set of the mixture."""
        return bool(entry.weight) and entry.name not in self.leave_out

    def _check_start(self) -> None:
        others = ("backbone_weights", "initial_weights", "prune_from")
        given = [name for name in others if self.grow_from and getattr(self, name)]
        if given:
            raise ConfigError(
                f"grow_from: expected no other start, got {given[0]} too: leave one of them empty"
            )

    def _check_leave_out(self) -> None:
        known = {entry.name: entry for entry in self.data if entry.reader != "blank"}
        for name in self.leave_out:
            _check(name in known, "leave_out", f"some of {', '.join(sorted(known))}", name)
            alone = not known[name].folds
            _check(alone, "leave_out", "sets without folds, of which a part is held out", name)

    def _check_crop(self) -> None:
        if self.crop != "half":
            _check(min(self.crop) >= 1, "crop", "a number of pixels", self.crop)
        elif any(entry.reader == "blank" for entry in self.data):
            raise ConfigError(
                "crop: half is half of an image's sides, and blank has no images: give "
                "the crops' height and width, or leave blank out"
            )

    def weights_path(self, given: str) -> Path:
        """Return the path of weights that a key names: a bundled model, or a file of the data.

        Raises:
            ConfigError: see :meth:`root`.
        """
        return model_path(given) if given in list_models() else self.root() / given

    def root(self) -> Path:
        """Return the data folder, with the environment's variables put in.

        Raises:
            ConfigError: a variable is not set.
        """
        expanded = os.path.expandvars(self.data_root)
        if "$" in expanded:
            raise ConfigError(
                f"data_root: {self.data_root} is not set in the environment: set it, or give "
                "`changes=data_root=FOLDER`"
            )
        return Path(expanded)
