"""Judge a comparison: when a file is refused, and with what message."""

from __future__ import annotations

from edgecount.export.verify.compare import Comparison

MATCHED = {"fp16": 0.95, "int8": 0.8}  # smallest share of the points that must stay
FEW_POINTS = 20  # too few to judge by


def refusal(name: str, precision: str, comparison: Comparison | None) -> str:
    """Return why a file must not be used; an empty text if it may."""
    if comparison is None:
        return ""
    if not comparison.passed:
        share, gate = percentages(comparison.relative, comparison.gate)
        return (
            f"{name} counts differently from the float32 model by {share} of the mean count "
            f"({comparison.mean_count:.1f} people), expected at most {gate}; worst on "
            f"{comparison.worst[0].name}"
        )
    points = sum(one.points[0] for one in comparison.images if one.points)
    lowest = MATCHED["int8" if "int8" in precision else "fp16"]
    if comparison.matched is not None and points >= FEW_POINTS and comparison.matched < lowest:
        return (
            f"{name} finds {comparison.matched:.1%} of the head points of the float32 model, "
            f"expected at least {lowest:.0%}"
        )
    return ""


def percentages(share: float, gate: float) -> tuple[str, str]:
    """Return both as texts, with 2 digits or as many as show that they differ and are not 0."""
    texts = "", ""
    for digits in range(2, 12):
        texts = f"{share:.{digits}%}", f"{gate:.{digits}%}"
        nothing = f"{0:.{digits}%}"
        if texts[0] != texts[1] and not any(
            value and text == nothing for value, text in zip((share, gate), texts, strict=True)
        ):
            break
    return texts


def advice(precision: str) -> str:
    """Return what to do about a refused file."""
    better = "give more or other images (`calibration`), another `method`, or "
    return f"{better if 'int8' in precision else ''}keep it all the same with `force`"
