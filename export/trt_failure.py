"""What to say when TensorRT gives nothing back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgecount.errors import BackendError

__all__ = ["failure"]

_MEMORY = re.compile(
    r"out ?of ?memory|insufficient (gpu |device )?memory|memory ?allocation|bad_alloc|allocate",
    re.IGNORECASE,
)
# A layer is said to have no implementation when each one wants more scratch memory than there is.
_NO_KERNEL = re.compile(r"workspace|no tactics|find any implementation", re.IGNORECASE)


def failure(what: str, problems: Sequence[str], workspace: int | None) -> BackendError:
    """The error for a build that gave nothing: TensorRT tells its reasons to its log only.

    Args:
        what: what failed, such as "TensorRT 10.3.0 could not build the engine".
        problems: errors in the log.
        workspace: the cap on scratch memory that was asked for, in MiB; None: none.
    """
    said = "; ".join(problems[-5:]) or "it gave no reason"
    no_kernel = bool(_NO_KERNEL.search(said))
    if no_kernel and workspace is not None:
        advice = (
            f"a --workspace of {workspace} MiB is too little for some layer: give more, or leave "
            "it out"
        )
    elif no_kernel or _MEMORY.search(said):
        cap = f"below {workspace} MiB" if workspace else "such as 1024 MiB"
        advice = (
            "there was too little memory: end other programs that use the GPU, make the largest "
            f"--input smaller, or give a --workspace {cap}"
        )
    else:
        advice = "its log, at level DEBUG of edgecount.runtime, says more"
    return BackendError(f"{what} ({said}): {advice}")
