"""The array type that the scenes are drawn with."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
