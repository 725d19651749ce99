"""The place of a density map in results whose counter leaves it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, cast

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from edgecount.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LEFT_OUT"]


class _LeftOut(NDArrayOperatorsMixin):
    """An object that raises ConfigError where an array would give values, its size or its shape.

    An empty array would be taken for that of a model without a density map, and analytics would go
    on with half of the people.
    """

    __slots__ = ()

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ConfigError(
            "density: expected the values of a density map, and the counter that made this result "
            "was opened with density=False: open it with density=True (its counts are the same)"
        )

    # NumPy's operators and functions, and those that Python looks up on the type.
    __array__ = __array_ufunc__ = __array_function__ = _refuse
    __len__ = __iter__ = __getitem__ = __bool__ = __float__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # which `copy` and `pickle` ask any object for
            raise AttributeError(name)
        self._refuse()

    def __reduce__(self) -> str:
        return "LEFT_OUT"  # copies and unpickled results hold the same object

    def __repr__(self) -> str:
        return "<density left out>"


LEFT_OUT = cast("NDArray[np.float32]", _LeftOut())
"""The density of a result whose counter leaves it out: it takes the place of an array."""
