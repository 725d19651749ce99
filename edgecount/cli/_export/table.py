"""Show a finished export as a table."""

from __future__ import annotations

from typing import Any

from edgecount.cli._shell.flags import with_flags
from edgecount.export.report.facts import worst_difference


def table(report: dict[str, Any]) -> list[str]:
    """Return the lines of a table with a row for each file of a `report.json`.

    Below a file stand its runs by engines of CPUs, each with the precision that it computed in.
    """
    people = f"{'bias':>8}{'worst':>9}{'regions':>9}{'points':>9}"
    lines = [f"{'':24}{'MB':>8}{'counts differ by':>19}{people}{'ms':>9}   verdict"]
    for file in report["files"]:
        latency = file.get("latency_ms")
        where = f", {file['latency_on']}" if file["engine"] and latency else ""
        lines.append(
            f"{file['file']:24}{file['bytes'] / 1e6:8.2f}{_numbers(file['proof'], latency)}   "
            f"{file['verdict']}{where}"
        )
        if file["engine"] and file["engine"]["reason"]:
            lines.append(f"{'':24}  {with_flags(file['engine']['reason'])}")
        kept = len(file.get("kept") or ())
        if kept:
            lines.append(f"{'':24}  {kept} nodes keep a higher precision")
        for run in file.get("engines") or ():
            name = f"  {run['backend']} {run['precision']}"
            numbers = _numbers(run["comparison"], run["latency_ms"])
            lines.append(f"{name:32}{numbers}   {run['verdict']}")
    if report["no_engine"]:
        lines.append(f"{'no engine':24}  {report['no_engine']}")
    return lines


def _numbers(proof: dict[str, Any] | None, latency: dict[str, float] | None) -> str:
    """Return the columns of a comparison and of a time; None: there is none."""
    speed = f"{latency['p50']:.1f}" if latency else "-"
    if not proof:
        return f"{'-':>19}{'-':>8}{'-':>9}{'-':>9}{'-':>9}{speed:>9}"
    matched = proof["points_matched"]
    points = "-" if matched is None else f"{matched:.1%}"
    share = f"{proof['relative']:.2%} of {proof['mean_count']:.1f}"
    return (
        f"{share:>19}{proof['bias']:+8.2f}{worst_difference(proof):+9.2f}"
        f"{proof['regions']:9.2f}{points:>9}{speed:>9}"
    )
