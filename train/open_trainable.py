"""A deployed model as a network that can be trained again."""

from __future__ import annotations

from pathlib import Path

from edgecount.errors import ModelError
from edgecount.manifest import Manifest
from edgecount.runtime.models.open import open_model
from edgecount.train.checkpoint import config_of, load_network
from edgecount.train.config import NamedOptions
from edgecount.train.manifest import manifest_of
from edgecount.train.models import build_model
from edgecount.train.models.base import Network
from edgecount.train.models.fold import fold_batch_norm
from edgecount.train.models.weights import load_by_name
from edgecount.train.unfinished import tell_what_lacks


def open_trainable(
    model: str | Path, *, tell: bool = False
) -> tuple[Network, Manifest, NamedOptions]:
    """Open a model as a network without batch norms, with its manifest and its objective.

    Args:
        model: a bundled name, an .onnx of ``edgecount export``, or a checkpoint.
        tell: whether what a checkpoint lacks for counting is warned of.

    Raises:
        ModelError: it is none of edgecount's networks in float32.
    """
    if str(model).endswith(".pt"):
        network, state = load_network(Path(model))
        manifest = manifest_of(network, state)
        if tell:
            tell_what_lacks(Path(model), state, manifest)
        return fold_batch_norm(network), manifest, config_of(state).objective
    found = open_model(model)
    if found.sidecar is not None:
        raise ModelError(
            f"{model} is an engine, whose weights cannot be trained: expected the .onnx that it "
            "was built from, or a checkpoint; export the trained model for a new engine"
        )
    manifest = found.manifest
    described = dict(manifest.training.get("network", {"name": manifest.name}))
    name = described.pop("name")
    if not str(name).startswith("edgecount-"):
        raise ModelError(
            f"{model} is a {name}: expected an edge model, or the checkpoint of another"
        )
    assert found.path is not None
    network = fold_batch_norm(build_model(name, described))
    load_by_name(network, found.path)
    zip_counts = {"counts": "zip"} if described.get("zero_inflated") else {}
    return network, manifest, NamedOptions("edge", zip_counts)
