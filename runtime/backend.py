"""The seam between edgecount and an inference engine, and the choice of the engine."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from edgecount.errors import BackendError, ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from edgecount.manifest import Manifest
    from edgecount.runtime.engine_files import Rebuild
    from edgecount.runtime.model_file import ModelFile
    from edgecount.runtime.sidecar import Target

__all__ = ["BACKENDS", "Backend", "open_backend"]

BACKENDS = ("auto", "onnxruntime", "onnxruntime-cuda", "tensorrt", "tensorrt-rtx", "fake")


class Backend(ABC):
    """An engine that holds one model. A context manager: leaving it frees the engine.

    A backend of your own subclasses this and is passed as `EdgeCounter(backend=...)`; `infer` is
    called from several threads at once if the counter is.

    Attributes:
        name: what results call it, such as "onnxruntime".
        device: where it computes: "cpu" or "cuda:0".
    """

    name: str
    device: str = "cpu"

    def prepare(self, manifest: Manifest) -> None:
        """Told once, before the first `infer`, which model the counter uses it for."""
        del manifest

    @abstractmethod
    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once.

        Args:
            inputs: the image tensor by its name in the manifest: float32 (B, 3, H, W), in C order.
                It is reused for the next frame: copy what must outlast the call.

        Returns:
            The output maps by their names in the manifest, as `OutputSpec` describes them.

        Raises:
            BackendError: the engine failed.
        """

    @abstractmethod
    def close(self) -> None:
        """Free the engine; calling it twice is fine, `infer` after it is an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_backend(
    model: ModelFile,
    backend: str | Backend = "auto",
    *,
    threads: int | None = None,
    rebuild: Rebuild | None = None,
) -> Backend:
    """Open the engine for a model.

    Args:
        model: the model.
        backend: one of `BACKENDS`, or a backend of the caller's, which is only prepared. "auto"
            takes the best engine that works here and logs which it is and why not a better one.
            An engine asked for by name is never replaced by another.
        threads: threads of the engine on the CPU; None: one per core.
        rebuild: builds a TensorRT engine again that does not fit this machine, from the ONNX beside
            it; None: it is not run then.

    Raises:
        BackendError: the engine does not exist or does not work here.
        MissingExtraError: its package is not installed.
        ModelError: the engine cannot load the model.
        ConfigError: threads is below 1.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads: expected 1 or more, or None for all cores, got {threads}")
    if isinstance(backend, Backend):
        backend.prepare(model.manifest)
        return backend
    if backend == "fake":
        from edgecount.runtime.fake import FakeBackend

        fake = FakeBackend()
        fake.prepare(model.manifest)
        return fake
    if backend not in BACKENDS:
        close = difflib.get_close_matches(str(backend), BACKENDS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise BackendError(f"backend: expected one of {', '.join(BACKENDS)}, got {backend!r}{hint}")
    if model.path is None:
        raise BackendError(
            f"backend: expected a Backend of your own, or a model file, got {backend!r} and a "
            "manifest alone"
        )
    from edgecount.runtime import engine_choice

    if backend == "auto":
        return engine_choice.open_best(model, threads, rebuild)
    if backend in ("tensorrt", "tensorrt-rtx"):
        return engine_choice.open_engine(model, cast("Target", backend), rebuild)
    if model.sidecar is not None:
        raise BackendError(
            f"{model.path} is an engine of {model.sidecar.backend}, which {backend} cannot run: "
            "pass the .onnx that it was built from, or leave backend at 'auto'"
        )
    from edgecount.runtime.onnxruntime_backend import open_onnxruntime

    if rebuild is not None:
        engine_choice.warn_of_idle_rebuild(f"{backend} runs the .onnx, and no engine")
    device = "cuda:0" if backend == "onnxruntime-cuda" else "cpu"
    return open_onnxruntime(model, device, threads)
