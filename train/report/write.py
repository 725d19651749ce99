"""One page with everything in it, and its charts and pictures as files beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgecount._files import write_whole
from edgecount._report import data_url, open_template
from edgecount._text import valid_text
from edgecount.errors import ConfigError, MissingExtraError, OutputError
from edgecount.train.data.sample import Sample
from edgecount.train.report.charts import curves, errors_by_level, level_name, scatter
from edgecount.train.report.pictures import choose, draw_image
from edgecount.train.report.scales import draw_scales
from edgecount.train.report.style import new_figure

if TYPE_CHECKING:
    from edgecount import EdgeCounter
    from edgecount.train.evaluate.evaluation import Evaluation, ImageRecord

_KINDS = {".png": "png", ".jpg": "jpeg"}
_LONGEST = 40  # characters of a set's name in names of files, which have up to 4 bytes each


def write_report(
    folder: Path,
    evaluations: Mapping[str, Evaluation],
    *,
    counter: EdgeCounter,
    samples: Mapping[str, Sequence[Sample]],
    log: Sequence[Mapping[str, Any]] | None = None,
    title: str,
) -> Path:
    """Write ``report.html``, which needs no other file, and its pictures.

    The worst and the best images of each set are counted again to be drawn.

    Args:
        folder: made if missing; files of the same names are replaced.
        evaluations: results by name of the set.
        counter: the model that was evaluated.
        samples: the evaluated samples by set; a set without gets no images.
        log: records of the training's ``log.jsonl``, if there was one.
        title: title of the page.

    Returns:
        The path of the page.

    Raises:
        ConfigError: the samples of a set are not those that were evaluated.
        SourceError: an image cannot be read.
        OutputError: the folder cannot be written.
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    render = _template()
    _check(evaluations, samples)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = curves(log or ())
        training = drawn and _save(folder, "curves.png", drawn, "Loss and error during training")
        sets = [
            _set(folder, f"{place}-{_slug(name)}", name, one, counter, samples.get(name, ()))
            for place, (name, one) in enumerate(evaluations.items(), 1)
        ]
        text = render(
            title=title,
            model=counter.manifest.name,
            backend=counter.backend.name,
            curves=training,
            sets=sets,
            boxes=counter.manifest.output("boxes") is not None,
            level_name=level_name,
        )
    except OSError as error:
        raise OutputError(
            f"cannot write the report in {folder}: {error.strerror or error}"
        ) from error
    page = folder / "report.html"
    write_whole(page, valid_text(text).encode())
    return page


def check_packages() -> None:
    """Refuse a report for which packages are missing, before the long work.

    Raises:
        MissingExtraError: matplotlib or jinja2 is not installed.
    """
    _template()
    new_figure(1, 1)


def _template() -> Callable[..., str]:
    try:
        return open_template(Path(__file__).with_name("page.html"))
    except ImportError as error:
        raise MissingExtraError("jinja2", "train", "to write reports") from error


def _check(evaluations: Mapping[str, Evaluation], samples: Mapping[str, Sequence[Sample]]) -> None:
    for name, evaluation in evaluations.items():
        evaluated = [image.path for image in evaluation.images]
        if name in samples and evaluated != [sample.path for sample in samples[name]]:
            raise ConfigError(
                f"samples of {name}: expected the {len(evaluated)} that were evaluated, in their "
                f"order, got {len(samples[name])} others"
            )


def _set(
    folder: Path,
    prefix: str,
    name: str,
    evaluation: Evaluation,
    counter: EdgeCounter,
    samples: Sequence[Sample],
) -> dict[str, Any]:
    """Return the template's variables of one set."""
    charts = [
        _save(folder, f"{prefix}-{kind}.png", draw(evaluation), f"{text} of {name}")
        for kind, draw, text in (
            ("scatter", scatter, "Estimated against true counts"),
            ("levels", errors_by_level, "Error by density level"),
        )
    ]
    groups = []
    kinds = ("worst", "best") if samples else ()
    for kind, chosen in zip(kinds, choose(evaluation.images), strict=False):
        pictures = [
            _save(
                folder,
                f"{prefix}-{kind}-{rank}.jpg",
                draw_image(counter, samples[index]),
                _caption(evaluation.images[index]),
            )
            for rank, index in enumerate(chosen, 1)
        ]
        if pictures:
            groups.append((kind, pictures))
    return {
        "name": name,
        "summary": evaluation.summary(),
        "sizes_guessed": bool(samples) and all(sample.boxes is None for sample in samples),
        "charts": charts,
        "groups": groups,
        "scales": _scales(folder, prefix, evaluation, counter, samples),
    }


def _scales(
    folder: Path,
    prefix: str,
    evaluation: Evaluation,
    counter: EdgeCounter,
    samples: Sequence[Sample],
) -> dict[str, str] | None:
    """Draw the scales of a network on its best image, if it is one that has scales to show."""
    network = getattr(counter.backend, "network", None)
    if network is None or not samples:
        return None
    worst, best = choose(evaluation.images)
    index = [*best, *worst][0]
    drawn = draw_scales(network, samples[index], max_side=counter.max_side)
    text = f"{evaluation.images[index].name}: people of each map, true and by the network"
    return _save(folder, f"{prefix}-scales.png", drawn, text) if drawn else None


def _caption(image: ImageRecord) -> str:
    parts = [f"{image.name}: {image.true} people, {image.count:.1f} estimated ({image.error:+.1f})"]
    if image.density_count is not None and image.peak_count is not None:
        parts.append(f"density {image.density_count:.1f}, points {image.peak_count}")
    return "; ".join(parts)


def _save(folder: Path, file: str, data: bytes, text: str) -> dict[str, str]:
    """Write an image; return its name, its caption and itself as a data URL, for the template."""
    write_whole(folder / file, data)
    return {"file": file, "text": text, "data": data_url(_KINDS[Path(file).suffix], data)}


def _slug(name: str) -> str:
    """Return a set's name as a part of a file's."""
    return re.sub(r"[^\w.-]+", "-", name)[:_LONGEST].strip("-.") or "set"
