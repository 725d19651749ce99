"""`edgecount demo`: a rendered crowd, counted and checked against the truth."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgecount.cli._shell.output import to_json
from edgecount.cli._types.options import (
    folder_option,
    json_option,
    model_option,
    number_option,
)

if TYPE_CHECKING:
    from edgecount.counter import EdgeCounter

_CLIP_FRAMES = 24
_CLIP_FPS = 8.0
_CLIP_SIZE = (640, 480)


@click.command()
@folder_option(
    "--out",
    "folder",
    default="edgecount-demo",
    show_default=True,
    help="Folder to write the pictures to; files of an earlier demo are replaced.",
)
@number_option(
    "--people",
    "People in the picture; the clip has a third of them.",
    default=90,
    least=0,
    most=1000,
)
@number_option(
    "--seed", "Seed of the scene: the same number gives the same pictures.", default=11, least=0
)
@model_option
@json_option
def demo(folder: Path, people: int, seed: int, model: str, as_json: bool) -> None:
    """Render a crowd whose number of people is known, and count it.

    A picture and a short clip are rendered and counted. The pictures and the overlays are written
    to the folder.
    """
    from edgecount.counter import EdgeCounter

    with EdgeCounter(model) as counter:
        picture = _picture(counter, folder, people, seed)
        if not as_json:
            _say("picture", picture)
        clip = _clip(counter, folder, max(1, people // 3) if people else 0, seed)
    if as_json:
        click.echo(to_json({"picture": picture, "clip": clip, "model": model, "seed": seed}))
        return
    _say("clip", clip)
    click.echo(f"\nThe model sees  {picture['overlay']}")
    click.echo(f"of the picture  {picture['scene']}")
    click.echo(f"and in motion   {clip['overlay']}")


def _picture(counter: EdgeCounter, folder: Path, people: int, seed: int) -> dict[str, Any]:
    from edgecount.cli._count.saving import write_image
    from edgecount.drawing import draw_overlay
    from edgecount.scenes import render_scene

    scene = render_scene(people, seed=seed)
    write_image(folder / "scene.png", scene.image)
    result = counter.count(scene.image)
    write_image(folder / "scene.overlay.png", draw_overlay(scene.image, result))
    return {
        **_compare(result.count, len(scene.points)),
        "frames": 1,
        "scene": str(folder / "scene.png"),
        "overlay": str(folder / "scene.overlay.png"),
    }


def _clip(counter: EdgeCounter, folder: Path, people: int, seed: int) -> dict[str, Any]:
    from edgecount.cli._count.measures import Measured
    from edgecount.cli._count.saving import VideoSaver
    from edgecount.cli._shell.progress import Progress
    from edgecount.scenes import render_clip

    path = folder / "clip.overlay.mp4"
    counts: list[float] = []
    truths: list[int] = []
    scenes = render_clip(people, frames=_CLIP_FRAMES, fps=_CLIP_FPS, size=_CLIP_SIZE, seed=seed)
    with VideoSaver(path, _CLIP_FPS) as saver, Progress(_CLIP_FRAMES, "frame", "clip") as bar:
        for scene in scenes:
            result = counter.count(scene.image)
            result = dataclasses.replace(result, time=len(counts) / _CLIP_FPS)
            saver.add(scene.image, result, Measured())
            counts.append(result.count)
            truths.append(len(scene.points))
            bar.step()
    count, truth = sum(counts) / len(counts), sum(truths) / len(truths)
    return {**_compare(count, truth), "frames": len(counts), "overlay": str(path)}


def _compare(count: float, truth: float) -> dict[str, Any]:
    error = None if truth == 0 else round(100 * (count - truth) / truth, 1)
    return {"count": round(count, 2), "truth": round(truth, 2), "error_percent": error}


def _say(what: str, facts: dict[str, Any]) -> None:
    error = facts["error_percent"]
    off = "" if error is None else f"   {error:+.1f} %"
    frames = "" if facts["frames"] == 1 else f"   mean of {facts['frames']} frames"
    click.echo(f"{what:8}counted {facts['count']:6.1f}   truth {facts['truth']:6.1f}{off}{frames}")
