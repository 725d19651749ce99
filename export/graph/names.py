"""Names for what is added to a graph that may hold any already."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


class Names:
    """Gives each name once.

    Tensors and nodes share one set: ONNX keeps them apart, but people who read a graph do not.

    Args:
        model: its tensors, initializers and nodes are taken.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        self._taken = {
            *(value.name for value in (*graph.input, *graph.output, *graph.initializer)),
            *(node.name for node in graph.node),
            *(name for node in graph.node for name in (*node.input, *node.output)),
        }

    def free(self, name: str) -> str:
        """The name, with underscores after it as long as it is taken."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
