"""The model of a release before it is measured: its graph, threshold, blend and interval."""

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from edgecount._files import write_whole
from edgecount.errors import ConfigError
from edgecount.export.source.from_torch import export_onnx
from edgecount.export.source.load import with_manifest
from edgecount.manifest import Manifest
from edgecount.runtime.models.open import open_model
from edgecount.train.checkpoint import config_of, load_network
from edgecount.train.config import TrainConfig, find_config, load_config
from edgecount.train.data.assemble import load_held_out
from edgecount.train.data.sample import Sample
from edgecount.train.manifest import manifest_of, postprocess_to_dict
from edgecount.train.models.base import Network
from edgecount.train.postprocess.fusion import fit_postprocess


@dataclass(frozen=True)
class Draft:
    """A model that is written and not measured.

    Attributes:
        manifest: its manifest, without measurements.
        config: of its training.
        samples: the held-out images of that, set by set.
        note: a remark about the run for the card; mostly empty.
    """

    manifest: Manifest
    config: TrainConfig
    samples: dict[str, list[Sample]]
    note: str


def draft(options: argparse.Namespace, exported: Path, licence: str) -> Draft:
    """Write the graph with threshold, blend and interval, but no measurements.

    Of a deployed model, ``--config`` says what is held out, and nothing is fitted anew.

    Args:
        options: of `release_model.py`.
        exported: the file to write.
        licence: terms of the weights, in words.

    Raises:
        ConfigError: a deployed model without ``--config``, or a checkpoint with one.
        ModelError: the model cannot be read.
    """
    source: Path = options.checkpoint
    deployed = source.suffix == ".onnx"
    if deployed != bool(options.config):
        raise ConfigError(
            "--config: expected the config that holds out images, with a deployed model (.onnx) in "
            f"place of a checkpoint, which has its own; got {source} and {options.config}"
        )
    if deployed:
        config, note, state = load_config(find_config(options.config)), "", None
    else:
        network, state = load_finished(source, unfinished=options.unfinished)
        config, note = config_of(state), unfinished_note(state)
    if options.data:
        config = dataclasses.replace(config, data_root=str(options.data))
    samples = load_held_out(config, source.parent, state)
    if deployed:
        manifest = dataclasses.replace(
            open_model(source).manifest, name=options.name, version=options.version, licence=licence
        )
    else:
        print("== fitting threshold, blend and interval to the held-out images", flush=True)
        spec = fit_postprocess(network, list(samples.values()))  # by this version's rules
        fitted = {**state, "postprocess": postprocess_to_dict(spec)}
        names = {"name": options.name, "version": options.version, "licence": licence}
        manifest = manifest_of(network, fitted, **names)
    print(f"== exporting {source}", flush=True)
    if deployed:
        graph = with_manifest(onnx.load(source), manifest)
        write_whole(exported, graph.SerializeToString())
    else:
        export_onnx(network, manifest, exported)
    return Draft(manifest, config, samples, note)


def load_finished(checkpoint: Path, *, unfinished: bool) -> tuple[Network, dict[str, Any]]:
    """Load network and state of a run that is at its end, unless an unfinished one will do.

    Raises:
        ModelError: the checkpoint cannot be read.
        ConfigError: the run is not at its end.
    """
    network, state = load_network(checkpoint)
    if not is_finished(state) and not unfinished:
        raise ConfigError(
            f"{checkpoint} is of an unfinished run (step {state['step']} of "
            f"{state['config']['steps']}); expected the checkpoint of a finished one: let it end "
            "(edgecount train --resume), or try the release as it is (--unfinished)"
        )
    return network, state


def unfinished_note(state: Mapping[str, Any]) -> str:
    """Return a remark on an unfinished run; empty of a finished one."""
    if is_finished(state):
        return ""
    return f" **Unfinished: step {state['step']:,} of {state['config']['steps']:,}.**"


def is_finished(state: Mapping[str, Any]) -> bool:
    """Tell whether a run's end left this checkpoint, even if older code fitted nothing there."""
    return "postprocess" in state or state["step"] >= state["config"]["steps"]
