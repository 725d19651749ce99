"""The backend of OpenVINO."""

from __future__ import annotations

import io
import logging
import os
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from edgecount.errors import BackendError, ModelError
from edgecount.runtime.backends.base import Backend
from edgecount.runtime.backends.calls import in_hand
from edgecount.runtime.backends.forks import check_process
from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.cache import CompiledCache, cache_key
from edgecount.runtime.backends.openvino.precision import check_precision, computed_in
from edgecount.runtime.backends.openvino.properties import compile_properties, saturates
from edgecount.runtime.backends.openvino.shapes import Forms
from edgecount.runtime.backends.openvino.softplus import needs_exact_softplus, replace_softplus
from edgecount.runtime.models.machine import usable_threads
from edgecount.runtime.models.onnx_facts import check_beside, check_unchanged, files_state

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgecount.runtime.backends.openvino.cache import Shape
    from edgecount.runtime.models.model_file import ModelFile

P = ParamSpec("P")
R = TypeVar("R")

_MOST_LANES = 4  # each has buffers of its own

_log = logging.getLogger(__name__)


class OpenVinoBackend(Backend):
    """A backend of OpenVINO.

    Args:
        model: the model's file.
        backend: "openvino", "openvino-gpu" or "openvino-npu".
        threads: threads on the CPU; None: all hardware threads that this process may use.
        precision: kind of numbers to compute in: "float32", "bfloat16" or "float16", with "int8"
            or "int8+" before it for what a file holds in INT8.
        streams: number of frames at once, which share the threads.

    Raises:
        MissingExtraError: openvino is not installed.
        BackendError: the device is not there, or does not compute in this precision.
        ModelError: the file cannot be loaded, or does not have the tensors of its manifest.
    """

    def __init__(
        self,
        model: ModelFile,
        backend: str = "openvino",
        threads: int | None = None,
        precision: str = "float32",
        *,
        streams: int = 1,
    ) -> None:
        self.name, self.precision = backend, precision
        self._device = library.require_device(backend)
        self.device = self._device.lower()
        self._exactness = precision.removeprefix("int8").removeprefix("+") or "float32"
        check_precision(backend, self._device, self._exactness)
        self._model, self._threads, self._streams = model, threads, streams
        self._as_written = self._device == "CPU" and saturates(model.encoding)
        self._properties = compile_properties(
            self._device, precision, threads, streams, as_written=self._as_written
        )
        self.lanes = self._useful_lanes()
        self._lock = threading.Lock()
        self._of_lanes: dict[int, OpenVinoBackend] = {}
        self._closed, self._process = False, os.getpid()
        self._state = files_state(model.path)
        self._cache = self._open_cache()
        self._network: Any = None
        self._outputs: list[int] = []
        any_size = backend != "openvino-npu"  # which takes fixed sizes alone
        # Forms that held this object would keep it until the next garbage collection.
        make, is_kept = _weakly(self._make), _weakly(self._is_kept)
        self._forms = Forms(make, any_size=any_size, is_kept=is_kept)
        if not any_size:
            self._check_tensors(self._read())

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run the model once; see `Backend.infer`."""
        if self._closed:
            raise BackendError(f"{self.name}: the backend is closed")
        check_process(self.name, self._process)
        name = self._model.manifest.input.name
        if list(inputs) != [name]:
            raise BackendError(f"{self.name}: expected the input {name!r}, got {list(inputs)}")
        tensor = inputs[name]
        try:
            values = self._forms.infer(tensor, self._outputs)
        except (BackendError, ModelError):  # it is closed by now; the call was ended
            raise
        except Exception as error:
            what = f"{self.name} failed on an input {tensor.shape}"
            raise BackendError(f"{what}: {library.reason(error)}") from error
        names = (output.name for output in self._model.manifest.outputs)
        return dict(zip(names, values, strict=True))

    def for_lanes(self, number: int) -> Backend:
        """Return a backend with a stream for each of some frames; see `Backend.for_lanes`."""
        number = min(number, self.lanes)
        if number <= 1:
            return self
        check_process(self.name, self._process)  # before the lock, which a thread may have held
        with self._lock:
            if self._closed:
                raise BackendError(f"{self.name}: the backend is closed")
            found = self._of_lanes.get(number)
            if found is None:
                found = self._of_lanes[number] = self._open_lanes(number)
            return found

    def _open_lanes(self, number: int) -> OpenVinoBackend:
        check_unchanged(self._model.path, self._state)
        found = OpenVinoBackend(
            self._model, self.name, self._threads, self.precision, streams=number
        )
        try:
            check_unchanged(self._model.path, self._state)
        except ModelError:
            found.close()
            raise
        return found

    def shapes(self) -> list[Shape]:
        """Return the shapes (B, 3, H, W) that have a compiled model of their own by now."""
        return self._forms.shapes()

    def close(self) -> None:
        """Free the compiled models; frames that are being computed are computed to their end.

        In a fork they are the parent's, and stay.
        """
        if self._process != os.getpid():
            self._closed = True
            return
        with self._lock:
            self._closed, others = True, list(self._of_lanes.values())
            self._of_lanes.clear()
        for other in others:
            other.close()
        self._forms.close()
        self._network = None

    def _useful_lanes(self) -> int:
        if self._streams > 1:
            return self._streams
        if self._device == "CPU":
            return min(self._threads or usable_threads(), _MOST_LANES)
        return 2  # one frame is computed while the next is on its way to the device

    def _open_cache(self) -> CompiledCache | None:
        if "EXPORT_IMPORT" not in library.capabilities(self._device) or self._model.path is None:
            return None
        key = cache_key(self._model.path, self._device, self.precision)
        if key is None:
            return None
        changes = {"as written": self._as_written, "softplus": needs_exact_softplus()}
        key |= {name: str(made) for name, made in changes.items()}
        return CompiledCache(self._model.path, key)

    def _is_kept(self, shape: Shape) -> bool:
        return self._cache is not None and self._cache.holds(shape)

    def _make(self, shape: Shape) -> Any:
        """Compile the model for a shape, or load what was compiled, and keep it on the disk."""
        compiled = self._load(shape) or self._compile(shape)
        self._check_computed(compiled)
        if shape is None or not self._outputs:
            self._check_tensors(compiled)
        return compiled

    def _load(self, shape: Shape) -> Any:
        content = None if self._cache is None else self._cache.load(shape)
        if content is None:
            return None
        try:
            with in_hand():
                return library.core().import_model(
                    io.BytesIO(content), self._device, self._properties
                )
        except RuntimeError as error:  # of another version or CPU than the key tells
            _log.info("%s compiles anew what was kept: %s", self.name, library.reason(error))
            return None

    def _compile(self, shape: Shape) -> Any:
        network = self._read()
        try:
            with in_hand():
                if shape is not None:
                    network = network.clone()
                    network.reshape(list(shape))
                compiled = library.core().compile_model(network, self._device, self._properties)
        except Exception as error:
            raise ModelError(
                f"{self.name} cannot load {self._model.path}: {library.reason(error)}"
            ) from error
        self._keep(shape, compiled)
        return compiled

    def _keep(self, shape: Shape, compiled: Any) -> None:
        """Write what was compiled to the disk, if it can be."""
        if self._cache is None:
            return
        content = io.BytesIO()
        try:
            compiled.export_model(content)
        except RuntimeError as error:  # of a device that cannot: it compiles in every process
            _log.info("%s cannot keep what it compiled: %s", self.name, library.reason(error))
            return
        self._cache.save(shape, content.getvalue())

    def _read(self) -> Any:
        """Return the graph as it is in the file; it is read once."""
        if self._network is None:
            path = self._model.path
            if path is not None:
                check_beside(path)
            try:
                with in_hand():
                    network = library.core().read_model(str(path))
                    # Not read when it was opened if what it was compiled to was on the disk.
                    check_unchanged(self._model.path, self._state)
                    if needs_exact_softplus():
                        replace_softplus(network)
                    self._network = network
            except ModelError:
                raise
            except Exception as error:
                raise ModelError(
                    f"{self.name} cannot load {path}: {library.reason(error)}"
                ) from error
        return self._network

    def _check_computed(self, compiled: Any) -> None:
        """Refuse numbers that were not asked for: OpenVINO takes others without a word."""
        found = computed_in(compiled)
        if found != self._exactness:
            raise BackendError(
                f"precision: {self._exactness} was asked for, and {self.name} computes in {found} "
                f"on {library.full_name(self._device)}: leave precision at 'auto'"
            )

    def _check_tensors(self, graph: Any) -> None:
        """Compare the graph's tensors with the manifest, and find the outputs' places.

        Raises:
            ModelError: they are not those that the manifest names.
        """
        manifest, path = self._model.manifest, self._model.path
        inputs, outputs = (
            [_names(port) for port in ports] for ports in (graph.inputs, graph.outputs)
        )
        if len(inputs) != 1 or manifest.input.name not in inputs[0]:
            raise ModelError(
                f"{path}: the manifest names the input {manifest.input.name!r}, "
                f"the graph has {_all(inputs)}"
            )
        places = []
        for output in manifest.outputs:
            found = [index for index, names in enumerate(outputs) if output.name in names]
            if not found:
                raise ModelError(
                    f"{path}: the manifest names the output {output.name!r}, "
                    f"the graph has {_all(outputs)}"
                )
            places.append(found[0])
        self._outputs = places


def _weakly(method: Callable[P, R]) -> Callable[P, R]:
    """Return a function that calls a method, and does not keep its object."""
    held, name = weakref.WeakMethod(method), method.__name__

    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        found = held()
        if found is None:  # whoever runs the forms has the backend
            raise ReferenceError(f"the object of {name} is gone")
        return found(*args, **kwargs)

    return call


def _names(port: Any) -> list[str]:
    """Return a tensor's names, those of the nodes that OpenVINO saw through included."""
    return sorted(port.names) or [str(port)]


def _all(ports: list[list[str]]) -> list[str]:
    """Return every name: OpenVINO does not say which of a tensor's names is the graph's."""
    return [name for names in ports for name in names]
