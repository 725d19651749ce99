"""`edgecount inspect`: what a model expects and gives, and whether it runs on this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._inspect.engine import engine_facts, engine_rows, try_model
from edgecount.cli._inspect.folder import add_times, folder_files, table, taken_file
from edgecount.cli._inspect.sets import set_name
from edgecount.cli._shell.group import FAILED
from edgecount.cli._shell.output import text_of, to_json
from edgecount.cli._types.options import json_option
from edgecount.cli.models import measured_lines

if TYPE_CHECKING:
    from edgecount.manifest import Manifest

_LOG_FATAL = 4


@click.command()
@click.argument("model", metavar="NAME|FILE|DIR")
@click.option(
    "--manifest-template",
    "template",
    is_flag=True,
    help="Print a manifest to fill in, for an .onnx that carries none.",
)
@json_option
@click.pass_context
def inspect(ctx: click.Context, /, model: str, template: bool, as_json: bool) -> None:
    """Show what a model expects and gives, and whether it runs on this machine.

    The model is a bundled name, an .onnx file, a TensorRT engine, or a folder written by edgecount
    export, of which every model gets a row of a table. If a model in a folder cannot be read, the
    others are still shown and the exit code is 1.
    """
    if template:
        from edgecount.export.source.external_onnx import manifest_template
        from edgecount.export.source.load import load_graph
        from edgecount.runtime.models.open import locate_model

        path = locate_model(model)
        click.echo(to_json(manifest_template(load_graph(path), path.stem), indent=2))
        return
    if Path(model).is_dir():
        if not _inspect_folder(Path(model), as_json):
            ctx.exit(FAILED)
        return
    facts = _facts(model)
    if as_json:
        click.echo(to_json(facts))
        return
    click.echo(text_of(_lines(facts)))


def _inspect_folder(folder: Path, as_json: bool) -> bool:
    """Show every model in a folder; returns whether all of them could be read."""
    found = [_facts_or_reason(path) for path in folder_files(folder)]
    facts = [facts for facts, _ in found]
    add_times(folder, facts)
    taken = taken_file(folder)
    if as_json:
        click.echo(to_json({"folder": str(folder), "files": facts, "taken": taken}))
    else:
        click.echo(text_of(table(facts, taken)))
    return all(readable for _, readable in found)


def _facts_or_reason(path: Path) -> tuple[dict[str, Any], bool]:
    """Return a model's facts, or why there are none, such as a missing sidecar."""
    from edgecount.errors import EdgeCountError

    try:
        return _facts(str(path)), True
    except EdgeCountError as error:
        nothing = {"manifest": None, "runs": False, "backend": None, "why_not": str(error)}
        return {"file": str(path), "bytes": path.stat().st_size, **nothing}, False


def _facts(model: str) -> dict[str, Any]:
    from edgecount.errors import ModelError
    from edgecount.runtime.models.engines import is_engine
    from edgecount.runtime.models.onnx_facts import read_onnx_facts
    from edgecount.runtime.models.onnx_functions import check_functions
    from edgecount.runtime.models.open import open_model

    if is_engine(Path(model)):
        return engine_facts(Path(model))
    manifest: Manifest | None = None
    backend: str | None = None
    try:
        opened = open_model(model)
    except ModelError as error:
        path, why = Path(model), str(error)
        if not path.is_file():
            raise
    else:
        path, manifest = opened.path or Path(model), opened.manifest
        backend, why = try_model(model)
    try:
        onnx = read_onnx_facts(path)
        check_functions(path)  # or opening it below would not end
    except ModelError as error:  # what it is instead was said before
        raise ModelError(why or str(error)) from None
    return {
        "file": str(path),
        "bytes": onnx.size,
        "opset": onnx.opset,
        "parameters": onnx.parameters,
        "manifest": manifest.to_dict() if manifest else None,
        "layers": _precisions(path),
        "tensors": _tensors(path),
        "runs": backend is not None,
        "backend": backend,
        "why_not": why or None,
    }


def _precisions(path: Path) -> dict[str, int] | None:
    """Count the layers with weights by their precision; None without the onnx package."""
    from collections import Counter

    from edgecount.errors import MissingExtraError
    from edgecount.export.graph.queries import WEIGHTY, node_precisions
    from edgecount.export.source.load import load_graph

    try:
        layers = node_precisions(load_graph(path))
    except MissingExtraError:
        return None
    except Exception:  # noqa: BLE001 (onnx raises what it likes on a damaged file)
        return None
    return dict(Counter(layer.precision for layer in layers if layer.operator in WEIGHTY))


def _tensors(path: Path) -> dict[str, list[str]] | None:
    """Describe the graph's inputs and outputs; None without ONNX Runtime."""
    from edgecount._telemetry import refuse_reports
    from edgecount.runtime.backends.calls import in_hand

    refuse_reports()
    try:
        import onnxruntime
    except ImportError:
        return None

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_FATAL  # what it warns of is how it would run the graph
    try:
        with in_hand():
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
    except Exception:  # noqa: BLE001 (onnxruntime's errors have no base class but this one)
        return None
    kinds = {"inputs": session.get_inputs(), "outputs": session.get_outputs()}
    return {kind: [_declare(tensor) for tensor in tensors] for kind, tensors in kinds.items()}


def _declare(tensor: Any) -> str:
    element = tensor.type.removeprefix("tensor(").removesuffix(")")
    return f"{tensor.name} {element} [{', '.join(map(_side, tensor.shape))}]"


def _side(side: int | str | None) -> str:
    """Return a length or its name; "?" for names that exporters derive, such as 4*s30."""
    return "?" if side is None or re.search(r"\bs\d+", str(side)) else str(side)


def _lines(facts: dict[str, Any]) -> list[str]:
    rows: list[tuple[str, str]] = []
    if facts["manifest"]:
        manifest = facts["manifest"]
        rows += [("model", f"{manifest['name']} {manifest['version']}")]
        rows += [("", manifest["description"])] if manifest["description"] else []
    rows.append(("file", facts["file"]))
    size = f"{facts['bytes'] / 1e6:.2f} MB"
    if engine := facts.get("engine"):
        rows += [("", size), *engine_rows(engine)]
    elif "parameters" not in facts:
        rows.append(("", size))
    else:
        rows.append(("", f"{size}, {facts['parameters'] / 1e6:.2f} M parameters, {_opset(facts)}"))
    for kind, tensors in (facts.get("tensors") or {}).items():
        rows += [(kind if i == 0 else "", tensor) for i, tensor in enumerate(tensors)]
    if facts["manifest"]:
        rows += _manifest_rows(facts["manifest"])
    verdict = f"yes, on {facts['backend']}" if facts["runs"] else f"no: {facts['why_not']}"
    rows.append(("runs here", verdict))
    return [f"{name:12}{text}".rstrip() for name, text in rows]


def _opset(facts: dict[str, Any]) -> str:
    layers = facts["layers"] or {}
    counts = ", ".join(f"{number} in {kind}" for kind, number in layers.items())
    return f"opset {facts['opset']}" + (f", layers: {counts}" if counts else "")


def _manifest_rows(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    from edgecount.manifest import IntervalSpec

    image, post = manifest["input"], manifest["postprocess"]
    if image["static_size"]:
        size = "{}x{} px only".format(*image["static_size"][::-1])
    else:
        size = f"sides of {image['multiple']} px, longer side up to {image['max_side']} by default"
    mean = ", ".join(f"{value:.4g}" for value in image["mean"])
    scale = ", ".join(f"{value:.4g}" for value in image["scale"])
    rows = [
        ("image", f"{image['channels']}, (x - [{mean}]) * [{scale}], {size}"),
        *_labelled("maps", [_map_text(output) for output in manifest["outputs"]]),
        _heads_row(manifest),
    ]
    if fusion := post["fusion"]:
        text = "points below {low:g}, density above {high:g} people per {cell} px square"
        if fusion.get("grid"):
            text += ", on a grid of {grid} x {grid}"
        rows.append(("fusion", text.format(**fusion)))
    if interval := post.get("interval"):
        spec = IntervalSpec(**interval)
        ends = "; ".join(
            "{} people: {:.1f} to {:.1f}".format(count, *spec.around(count))
            for count in (0, 10, 100, 1000)
        )
        rows.append(("interval", f"{spec.coverage:.0%}; {ends}"))
    training = manifest["training"]
    data = training.get("data")
    if data:
        items = data if isinstance(data, list) else [data]
        rows += _labelled(
            "trained on", sorted({set_name(str(item)) for item in items}, key=str.lower)
        )
    rows += _labelled("measured", measured_lines(training.get("metrics")))
    rows.append(("licence", manifest["licence"] or "not stated"))
    return rows


def _heads_row(manifest: dict[str, Any]) -> tuple[str, str]:
    post = manifest["postprocess"]
    if any(output["role"] == "boxes" for output in manifest["outputs"]):
        dropped = f"less those with an IoU above {post['nms_iou']:g} with a better one"
        return "boxes", f"above {post['threshold']:g}, {dropped}"
    return "peaks", f"above {post['threshold']:g} in windows of {post['window']} cells"


def _map_text(output: dict[str, Any]) -> str:
    unit = "" if output["unit"] == 1 else f", {output['unit']:g} per person"
    anchors = f", {output['anchors']} boxes per cell" if "anchors" in output else ""
    return f"{output['role']}: {output['name']}, one cell per {output['stride']} px{unit}{anchors}"


def _labelled(name: str, texts: list[str]) -> list[tuple[str, str]]:
    return [(name if i == 0 else "", text) for i, text in enumerate(texts)]
