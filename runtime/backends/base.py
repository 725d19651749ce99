"""The seam between edgecount and an inference engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgecount.manifest import Manifest


class Backend(ABC):
    """An inference engine that holds one model. A context manager: leaving it frees the engine.

    A backend of your own subclasses this and is passed as `EdgeCounter(backend=...)`; `infer` is
    called by several threads at once if the counter is, or if there are several lanes.

    Attributes:
        name: the engine's name in results and messages, such as "onnxruntime".
        device: where it computes: "cpu", or a GPU such as "cuda:0".
        precision: the kind of numbers that it computes in, such as "float32", "int8" or
            "bfloat16"; where several are mixed, the coarsest.
        lanes: number of frames that are worth having in the engine at once, to use the whole of
            its device; 1: the engine uses it all for each frame.
    """

    name: str
    device: str = "cpu"
    precision: str = "float32"
    lanes: int = 1

    def prepare(self, manifest: Manifest) -> None:
        """Take note of the model; called once, before the first `infer`."""
        del manifest

    @abstractmethod
    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once.

        Args:
            inputs: the image tensor by its name in the manifest: float32 (B, 3, H, W), in C order,
                resized, padded and normalised. It is reused for the next frame: copy what must
                outlast the call.

        Returns:
            The output maps by their names in the manifest, as `OutputSpec` describes them.

        Raises:
            BackendError: the engine failed.
        """

    def for_lanes(self, number: int) -> Backend:
        """Return an engine of the same model for that many frames at once; by default this one.

        Engines that spread each frame over all cores are faster with a frame on each of them, as
        long as nobody waits for a single one. What is returned belongs to this engine, which closes
        it, and gives the same counts. Called by any thread.
        """
        del number
        return self

    @abstractmethod
    def close(self) -> None:
        """Free the engine; calling it twice is fine, `infer` after it is an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
