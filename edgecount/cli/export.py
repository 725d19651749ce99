"""`edgecount export`: a checkpoint as a file that runs anywhere."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("model.onnx"),
    show_default=True,
    help="The ONNX file to write.",
)
@click.option("--name", help="The model's name; the network's by default.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it is there.")
def export(checkpoint: Path, out: Path, name: str | None, overwrite: bool) -> None:
    """Write CHECKPOINT (a last.pt of edgecount train) as float32 ONNX with its manifest."""
    from edgecount.errors import OutputError
    from edgecount.export.checkpoint import export_checkpoint

    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists: choose another --out, or add --overwrite")
    manifest = export_checkpoint(checkpoint, out, name=name)
    size = out.stat().st_size / 1e6
    click.echo(f"{out}  {manifest.name} {manifest.version}  {size:.1f} MB")
