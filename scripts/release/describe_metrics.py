"""Say in a released model's manifest which of its measured sets hold cameras that it never saw.

    python scripts/release/describe_metrics.py edgecount-s --unseen more-cafe
    python scripts/release/describe_metrics.py edgecount-n --config \
        train/configs/edgecount-s-relay-2.yaml --data DATA \
        --unseen beijing_brt hard_hat citypersons_small more-cafe

People in the mean picture come from docs/cards/NAME/metrics.json. With --config the sets of
--unseen that were not measured are measured on its held-out images. The graph, the version and the
other numbers stay as they are.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import onnx
from release_model import compact, say
from set_names import describe, people_each

from edgecount import EdgeCounter
from edgecount._files import write_whole
from edgecount.errors import ConfigError, EdgeCountError
from edgecount.export.source.load import with_manifest
from edgecount.runtime.models.open import open_model
from edgecount.train.config import load_config
from edgecount.train.data.assemble import load_held_out
from edgecount.train.evaluate.evaluation import evaluate_counter

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> None:
    """Parse the options and rewrite the manifest; one line says what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the model's name, and its files'")
    parser.add_argument("--unseen", nargs="*", default=[], help="sets that it never saw")
    parser.add_argument("--config", type=Path, help="holds out what is to be measured")
    parser.add_argument("--data", type=Path, help="in place of the config's data_root")
    parser.add_argument("--models", type=Path, default=ROOT / "edgecount" / "models")
    parser.add_argument("--metrics", type=Path, help="default: docs/cards/NAME/metrics.json")
    try:
        update(parser.parse_args(arguments))
    except EdgeCountError as error:
        sys.exit(f"edgecount: error: {error}")


def update(options: argparse.Namespace) -> None:
    """Describe the measured sets, measure what is missing, and write the file."""
    target = options.models / f"{options.name}.onnx"
    path = options.metrics or ROOT / "docs" / "cards" / options.name / "metrics.json"
    numbers = json.loads(path.read_text(encoding="utf-8"))
    manifest = open_model(target).manifest
    metrics = dict(manifest.training["metrics"])
    missing = [name for name in options.unseen if name not in metrics]
    if missing:
        numbers["sets"] |= measure(target, missing, options.config, options.data)
        metrics |= {name: compact(numbers["sets"][name]) for name in missing}
    for name in options.unseen:  # no interval was fitted to these, so that the model's own is tried
        interval = numbers["sets"][name].get("interval")
        if interval and "coverage" not in metrics[name]:
            metrics[name] = {**metrics[name], "coverage": round(interval["coverage"], 3)}
    people = {name: people_each(numbers["sets"][name]) for name in metrics}
    described = describe(metrics, people, options.unseen)
    manifest = dataclasses.replace(manifest, training={**manifest.training, "metrics": described})
    rounded = json.loads(json.dumps(numbers), parse_float=lambda text: round(float(text), 4))
    write_whole(path, (json.dumps(rounded, indent=1) + "\n").encode())
    write_whole(target, with_manifest(onnx.load(target), manifest).SerializeToString())
    say(f"described {target}")


def measure(
    model: Path, names: list[str], config: Path | None, data: Path | None
) -> dict[str, dict[str, Any]]:
    """Measure sets that a config holds out.

    Raises:
        ConfigError: there is no config, or it does not hold out one of the sets.
    """
    if config is None:
        raise ConfigError(
            f"--unseen: {names[0]} was not measured: give a --config that holds it out"
        )
    run = load_config(config)
    if data:
        run = dataclasses.replace(run, data_root=str(data))
    held = load_held_out(run, config.parent)
    absent = [name for name in names if name not in held]
    if absent:
        raise ConfigError(f"--unseen: expected some of {', '.join(held)}, got {absent[0]!r}")
    with EdgeCounter(model, backend="onnxruntime") as counter:
        return {name: evaluate_counter(counter, held[name]).summary() for name in names}


if __name__ == "__main__":
    main()
