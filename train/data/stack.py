"""Arrays of a batch's crops as one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def stack_padded(arrays: Sequence[NDArray[np.float32]]) -> Tensor:
    """Stack arrays that may differ in their first axis; shorter ones end in zeros.

    Maps of crops are equally large. Lists, such as a crop's boxes, are as long as it has heads; a
    box of zeros has no area.

    Args:
        arrays: (N_i, ...) of each crop.

    Returns:
        (B, N, ...) of the largest ``N_i``.
    """
    longest = max(len(array) for array in arrays)
    if any(len(array) < longest for array in arrays):
        widths = [(0, 0)] * (arrays[0].ndim - 1)
        arrays = [np.pad(array, [(0, longest - len(array)), *widths]) for array in arrays]
    return torch.from_numpy(np.stack(arrays))
