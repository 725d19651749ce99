"""Load a plan that fits as far as its sidecar says; TensorRT may refuse it all the same."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from types import ModuleType
from typing import Any

from edgecount.errors import BackendError
from edgecount.runtime.backends.tensorrt.compatibility import FittingEngine
from edgecount.runtime.backends.tensorrt.library import Features, library_name
from edgecount.runtime.backends.tensorrt.logger import TensorRTLog, last_errors
from edgecount.runtime.cuda.driver import PrimaryContext

_log = logging.getLogger(__name__)

_NO_MEMORY = re.compile(r"out ?of ?memory|bad_alloc", re.IGNORECASE)
_NOT_OF_THE_PLAN = {"INSUFFICIENT_GPU_MEMORY", "CUDA_ERROR"}  # diagnostics of RTX


class Loading:
    """A runtime of TensorRT and the engine that it loaded.

    Attributes:
        runtime: the runtime, which must outlive the engine.
        engine: the engine; None until `load` succeeds.

    Args:
        on_gpu: the context that the engine works in.
        features: those of the library.
        trt_log: the log that the library writes its reasons to.
    """

    def __init__(self, on_gpu: PrimaryContext, features: Features, trt_log: TensorRTLog) -> None:
        self._on_gpu, self._features, self._trt_log = on_gpu, features, trt_log
        self.runtime: Any = None
        self.engine: Any = None

    def load(self, path: Path, fitting: FittingEngine) -> str | None:
        """Load a plan; return why TensorRT refuses it, which another build may mend.

        Raises:
            BackendError: the plan may be fine, and something else is missing here.
        """
        with self._on_gpu:
            self.runtime = fitting.trt.Runtime(self._trt_log.logger)
            if self._features.engine_validity:
                answer = self.runtime.get_engine_validity(fitting.plan)
                if refusal := _invalidity(path, fitting.trt, answer):
                    return refusal
            self._set_options(path, fitting)
            self.engine = self.runtime.deserialize_cuda_engine(fitting.plan)
        if self.engine is not None:
            return None
        name = library_name(fitting.trt, fitting.sidecar.backend)
        refusal = f"{name} cannot load {path} ({last_errors(self._trt_log)})"
        if _NO_MEMORY.search(refusal):
            raise BackendError(f"{refusal}: end other programs that use the GPU")
        return refusal

    def _set_options(self, path: Path, fitting: FittingEngine) -> None:
        """Tell the runtime what the plan was built with."""
        options = fitting.sidecar.options
        if self._features.host_code and options.get("version_compatible"):
            self.runtime.engine_host_code_allowed = True  # such a plan brings a runtime of its own
        core = options.get("dla_core")
        if core is None:
            return
        if core >= (cores := self.runtime.num_DLA_cores):
            raise BackendError(
                f"{path} is for the deep-learning accelerator {core}, and "
                f"{library_name(fitting.trt, fitting.sidecar.backend)} finds {cores} on this "
                "board: build it again for the GPU (edgecount export without --dla)"
            )
        self.runtime.DLA_core = core


def _invalidity(path: Path, trt: ModuleType, answer: tuple[Any, int]) -> str | None:
    """Return why TensorRT for RTX refuses a plan; None if it takes it.

    Raises:
        BackendError: another build of the plan would be refused as well.
    """
    validity, diagnostics = answer
    kinds = trt.EngineInvalidityDiagnostics.__members__
    reported = [name for name, kind in kinds.items() if int(diagnostics) & int(kind)]
    reasons = ", ".join(name.lower().replace("_", " ") for name in reported) or "it gave no reason"
    if validity.name == "INVALID":
        refusal = f"TensorRT for RTX finds {path} invalid here: {reasons}"
        if reported and set(reported) <= _NOT_OF_THE_PLAN:
            raise BackendError(f"{refusal}; another build of it would not help")
        return refusal
    if validity.name == "SUBOPTIMAL":
        _log.info("%s may be slower than one built for this GPU: %s", path, reasons)
    return None
