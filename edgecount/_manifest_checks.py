"""Checks of the parts of a manifest, and of how they go together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecount._documents import shown
from edgecount.errors import ModelError

if TYPE_CHECKING:
    from edgecount.manifest import Manifest, OutputSpec, PostprocessSpec

# What no model needs more of; beyond them counts are infinite or nothing, or a frame never ends.
LARGEST_SIDE = 4096  # px, of padding, cells and strides
LARGEST_STATIC_SIDE = 16384  # px
LARGEST_GRID = 64
LARGEST_MEAN = 65536.0
SCALES = 1e-6, 1e6
UNITS = 1e-6, 1e9
MOST_PEOPLE = 1e9
MOST_ANCHORS = 64


def check(holds: bool, field: str, expected: str, got: object) -> None:
    """Raise the ModelError of one field of a manifest unless a condition holds."""
    if not holds:
        raise ModelError(f"manifest field {field}: expected {expected}, got {shown(got)}")


def check_side(field: str, side: int, most: int = LARGEST_SIDE) -> None:
    check(1 <= side <= most, field, f"a number of pixels, from 1 to {most}", side)


def check_size(field: str, value: float, least: float, most: float) -> None:
    fine = least <= value <= most
    check(fine, field, f"a number above 0, from {least:g} to {most:g}", value)


def check_roles(outputs: tuple[OutputSpec, ...]) -> None:
    """Check that the outputs together describe one kind of model."""
    roles = [output.role for output in outputs]
    detector = {"scores", "boxes"} & {*roles}
    if not detector:
        check(len({*roles}) == len(roles), "outputs", "outputs of different roles", roles)
        found = "density" in roles or "heatmap" in roles
        expected = "a density, a heatmap, or both; or scores and boxes"
        check(found, "outputs", expected, roles)
        return
    alone = {*roles} <= {"scores", "boxes"}
    check(alone, "outputs", "scores and boxes without outputs of other roles", roles)
    for stride in {output.stride: None for output in outputs}:
        pair = [output for output in outputs if output.stride == stride]
        what = [output.role for output in pair]
        expected = f"one output of scores and one of boxes of stride {stride}"
        check(sorted(what) == ["boxes", "scores"], "outputs", expected, what)
        anchors = [output.anchors for output in pair]
        expected = f"equal anchors of {pair[0].name} and {pair[1].name}"
        check(anchors[0] == anchors[1], "outputs", expected, anchors)


def check_grids(manifest: Manifest) -> None:
    """Check that the peak search, the region masks and the padding can work with the strides."""
    heatmap, density = manifest.output("heatmap"), manifest.output("density")
    for output in manifest.outputs:
        at, stride = f"outputs.{output.name}.stride", output.stride
        if output.role in {"offset", "size"}:
            roles = [o.role for o in manifest.outputs]
            check(heatmap is not None, "outputs", f"a heatmap beside the {output.role}", roles)
        if output.role != "density" and heatmap:
            check(stride == heatmap.stride, at, f"the heatmap's {heatmap.stride}", stride)
        elif heatmap:
            expected = f"a multiple of the heatmap's stride {heatmap.stride}"
            check(stride % heatmap.stride == 0, at, expected, stride)
    multiple = manifest.input.multiple
    for output in manifest.outputs:
        expected = f"a multiple of the stride {output.stride} of {output.name}"
        check(multiple % output.stride == 0, "input.multiple", expected, multiple)
    fusion = manifest.postprocess.fusion
    if fusion and density:
        expected = f"a multiple of the density's stride {density.stride}"
        check(fusion.cell % density.stride == 0, "postprocess.fusion.cell", expected, fusion.cell)


def check_postprocess(manifest: Manifest) -> None:
    """Check that nothing is said of the postprocessing that the model's outputs leave unused.

    Whoever wrote it expects an effect. Defaults pass, as every manifest is written with them.
    """
    post, roles = manifest.postprocess, [output.role for output in manifest.outputs]
    both, heads = {"density", "heatmap"} <= {*roles}, {"heatmap", "scores"} & {*roles}

    def unused(used: bool, field: str, value: object, default: object, reason: str) -> None:
        expected = f"{default}, as {reason}, and the outputs are {', '.join(dict.fromkeys(roles))}"
        check(used or value in (None, default), f"postprocess.{field}", expected, value)

    usual: type[PostprocessSpec] = type(post)
    unused(both, "fusion", post.fusion, "null", "it blends a density and a heatmap")
    unused("heatmap" in roles, "window", post.window, usual.window, "only a heatmap has peaks")
    why = "it is of peaks of a heatmap or of boxes"
    unused(bool(heads), "threshold", post.threshold, usual.threshold, why)
    unused("boxes" in roles, "nms_iou", post.nms_iou, usual.nms_iou, "only boxes are dropped by it")
    gap = None if post.interval is None else post.interval.gap
    unused(both, "interval.gap", gap, 0, "only a density and a heatmap together can differ")
