"""When a file is refused, and what is said then."""

from __future__ import annotations

from edgecount.export.verify.compare import Proof

MATCHED = {"fp16": 0.95, "int8": 0.8}  # least share of the points that must stay
FEW_POINTS = 20  # too few to judge by


def refusal(name: str, precision: str, proof: Proof | None) -> str:
    """Why a file must not be used; empty if it may."""
    if proof is None:
        return ""
    if not proof.passed:
        share, gate = percentages(proof.relative, proof.gate)
        return (
            f"{name} counts differently from the float32 model by {share} of the mean count "
            f"({proof.mean_count:.1f} people), expected at most {gate}; worst on "
            f"{proof.worst[0].name}"
        )
    points = sum(one.points[0] for one in proof.images if one.points)
    least = MATCHED["int8" if "int8" in precision else "fp16"]
    if proof.matched is not None and points >= FEW_POINTS and proof.matched < least:
        return (
            f"{name} finds {proof.matched:.1%} of the head points of the float32 model, "
            f"expected at least {least:.0%}"
        )
    return ""


def percentages(share: float, gate: float) -> tuple[str, str]:
    """Both as text, with two digits or as many as show that they differ, and neither as 0."""
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
    """What to do about a refused file."""
    better = "give more or other --calibration images, another --method, or "
    return f"{better if 'int8' in precision else ''}keep it all the same with --force"
