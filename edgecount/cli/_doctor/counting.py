"""The last check: the model counts a rendered picture."""

from __future__ import annotations

from edgecount.cli._doctor.check import Check

_PEOPLE = 40
_SIZE = (640, 480)
_TOLERANCE = 0.5  # wide: this tells a working model from a broken one, not a good one


def counting(model: str, *, crash: bool = False) -> Check:
    """Count a rendered crowd of known size with a model, unless that would end the process."""
    if crash:
        return Check("counting", "fail", "not tried: onnxruntime ends the process", "see above")
    from edgecount.counter import EdgeCounter
    from edgecount.errors import EdgeCountError
    from edgecount.scenes import render_scene

    try:
        with EdgeCounter(model) as counter:
            scene = render_scene(_PEOPLE, size=_SIZE, seed=1)
            counter.count(scene.image)  # the first run allocates
            result = counter.count(scene.image)
    except EdgeCountError as error:
        return Check("counting", "fail", str(error), "see the message")
    truth = len(scene.points)
    timings = result.timings
    milliseconds = timings["preprocess"] + timings["infer"] + timings["postprocess"]
    found = (
        f"{result.model} on {result.backend}: {result.count:.1f} people of {truth} in a rendered "
        f"picture, {milliseconds:.0f} ms"
    )
    if abs(result.count - truth) > _TOLERANCE * truth:
        return Check("counting", "warn", found, "far from the truth: is this the right model?")
    return Check("counting", "ok", found)
