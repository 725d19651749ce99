"""The choice of engine, file and precision for an ONNX model."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from edgecount._accuracy import FP16_GATE, INT8_GATE
from edgecount.errors import EdgeCountError, MissingExtraError
from edgecount.runtime.backends.openvino import library
from edgecount.runtime.backends.openvino.properties import saturates
from edgecount.runtime.backends.proofs import Proof, find_proof, keep_proof
from edgecount.runtime.models.choose import FLOAT32, choose_onnx, read_report
from edgecount.runtime.models.engines import file_sha256, same_network
from edgecount.runtime.models.machine import X86, may_have_half_precision, this_cpu
from edgecount.runtime.models.onnx_facts import has_control_flow, stored_precision
from edgecount.runtime.models.open import open_onnx_file

if TYPE_CHECKING:
    from pathlib import Path

    from edgecount.runtime.backends.base import Backend
    from edgecount.runtime.backends.proofs import Prove
    from edgecount.runtime.models.model_file import ModelFile

_log = logging.getLogger(__name__)


class Opened(NamedTuple):
    """An engine, and the model that it runs: of a folder, the file that was chosen."""

    backend: Backend
    model: ModelFile


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How an ONNX model is to run.

    Attributes:
        engines: names of the backends to choose among, at least one.
        threads: threads of the engine; None: as many as this process may use.
        precision: "auto", or the kind of numbers to compute in.
        prove: compares counts where no proof of a faster precision is held; None: it is not used
            then.
        gpu: number of the GPU of an engine on one.
    """

    engines: tuple[str, ...]
    threads: int | None = None
    precision: str = "auto"
    prove: Prove | None = None
    gpu: int = 0

    @property
    def openvino(self) -> str | None:
        """The backend of OpenVINO among the engines; None: there is none."""
        return next((name for name in self.engines if name in library.DEVICES), None)

    @property
    def device(self) -> str:
        """The device whose files a folder is searched for."""
        return "cpu" if self.engines[0] in ("onnxruntime", "openvino") else "gpu"


class Run(NamedTuple):
    """A file and how to run it."""

    model: ModelFile
    backend: str
    precision: str
    reason: str


def choose_run(model: ModelFile, options: RunOptions) -> Run | None:
    """Choose the file of a model's folder, or the model's own, and how to run it.

    What is faster and not as exact as the file is chosen if it was proven to count alike.

    Returns:
        None where the folder holds no ONNX file.
    """
    run = _first_choice(model, options)
    if run is None or options.precision != "auto" or options.openvino is None:
        return run
    if run.backend == options.openvino and run.precision != "float32":
        refusal = _refusal(run, options)
        if refusal is None:
            return run
        _log.info("%s with %s is not used: %s", run.precision, run.backend, refusal)
        run = _exact_choice(model, run, options)
    return _faster(run, options) or run


def open_run(run: Run, options: RunOptions) -> Opened:
    """Open the engine of a choice.

    Raises:
        EdgeCountError: see `open_backend`.
    """
    if run.backend not in library.DEVICES:
        from edgecount.runtime.backends.onnxruntime.open import open_onnxruntime

        device = f"cuda:{options.gpu}" if run.backend == "onnxruntime-cuda" else "cpu"
        return Opened(open_onnxruntime(run.model, device, options.threads), run.model)
    from edgecount.runtime.backends.openvino.backend import OpenVinoBackend

    return Opened(
        OpenVinoBackend(run.model, run.backend, options.threads, run.precision), run.model
    )


def _first_choice(model: ModelFile, options: RunOptions) -> Run | None:
    """Choose by the times of the export, or by rule; proofs are not asked for."""
    exact = "onnxruntime" if "onnxruntime" in options.engines else options.engines[0]
    if options.precision != "auto":
        return _named(model, options, exact)
    if model.folder is None:
        return _alone(model, options, exact)
    choice = choose_onnx(model.folder, options.device, engines=options.engines)
    if choice is None:
        return None
    chosen = _open_chosen(choice.path, model)
    if chosen is None:
        return None
    if chosen is model:
        return _alone(model, options, exact)
    return Run(chosen, choice.backend, choice.precision, choice.reason)


def _named(model: ModelFile, options: RunOptions, exact: str) -> Run | None:
    """Choose for a precision that was asked for: of a folder its float32 file, if there is one."""
    why = f"{options.precision} was asked for"
    chosen: ModelFile | None = model
    if model.folder is not None:
        path = model.folder / FLOAT32
        if not path.is_file():
            choice = choose_onnx(model.folder, options.device, engines=options.engines)
            if choice is None:
                return None
            path = choice.path
        chosen = _open_chosen(path, model)
    if chosen is None or chosen.path is None:
        return None
    stored = stored_precision(chosen.path)
    fits = options.precision in ("float32", stored) and "onnxruntime" in options.engines
    if fits or options.openvino is None:  # ONNX Runtime changes nothing of what a file is made for
        return Run(chosen, exact, stored, why)
    precision = options.precision
    if stored == "int8":
        precision = "int8" if precision == "float32" else f"int8+{precision}"
    return Run(chosen, options.openvino, precision, why)


def _alone(model: ModelFile, options: RunOptions, exact: str) -> Run:
    """Choose how to run a file that was named itself."""
    assert model.path is not None  # noqa: S101 (tells the type checker what is so)
    stored, cpu = stored_precision(model.path), this_cpu()
    is_faster = (cpu.int8 or cpu.machine in X86) and not saturates(model.encoding)
    if stored == "int8" and options.openvino and (is_faster or exact == options.openvino):
        return Run(model, options.openvino, stored, "the file that was named")
    # OpenVINO computes in float32 from weights of float16, unless it is told otherwise.
    kept = "float32" if exact in library.DEVICES and stored == "float16" else stored
    return Run(model, exact, kept, "the file that was named")


def _open_chosen(path: Path, model: ModelFile) -> ModelFile | None:
    """Open a file of the model's folder; of another model, the model's own; None: an engine."""
    chosen = open_onnx_file(path, model.folder)
    if same_network(chosen.manifest, model.manifest):
        return chosen
    _log.warning("%s is not used: it is of another model than %s", path, model.path)
    return model if model.sidecar is None else None


def _exact_choice(model: ModelFile, refused: Run, options: RunOptions) -> Run:
    """Choose anew where what OpenVINO was to compute in was refused."""
    if "onnxruntime" in options.engines:
        run = _first_choice(model, dataclasses.replace(options, engines=("onnxruntime",)))
        if run is not None:
            return run
    if refused.precision != "int8":
        exact = "int8" if refused.precision.startswith("int8") else "float32"
        return refused._replace(precision=exact, reason=f"{refused.precision} was refused")
    other = _reference(refused)
    if other is None:
        return refused
    return refused._replace(model=other, precision="float32", reason="INT8 was refused")


def _faster(run: Run, options: RunOptions) -> Run | None:
    """Return the choice with a faster precision than float32, if it was proven; else None."""
    name = options.openvino
    if run.precision != "float32" or name is None:
        return None
    if name == "openvino" and not may_have_half_precision():
        return None
    from edgecount.runtime.backends.openvino.precision import faster_precision

    precision, path = faster_precision(library.DEVICES[name]), run.model.path
    # OpenVINO unrolls a loop while it compiles, and one without an end takes it for ever.
    if precision is None or path is None or has_control_flow(path):
        return None
    entry = _at_export(run.model, name, precision)
    if entry is not None and entry.get("passed") is True:
        return None  # the export has timed it, and the choice knows that
    faster = run._replace(backend=name, precision=precision)
    refusal = _refusal(faster, options)
    if refusal is None:
        return faster._replace(reason=f"{run.reason}; {precision} is faster and counts alike")
    _log.info("%s with %s is not used: %s", precision, name, refusal)
    return None


def _refusal(run: Run, options: RunOptions) -> str | None:
    """Return why a faster precision must not be used; None: it was proven to count alike."""
    entry = _at_export(run.model, run.backend, run.precision)
    if entry is not None:
        return None if entry.get("passed") is True else "the export found that it counts otherwise"
    from edgecount.runtime.backends.openvino.cache import cache_key

    path = run.model.path
    key = path and cache_key(path, library.DEVICES[run.backend], run.precision)
    if not path or not key:
        return "its file cannot be read"
    proof = find_proof(key)
    if proof is None:
        if options.prove is None:
            return "it was not proven yet"
        try:
            found = _try(run, options)
        except EdgeCountError as error:
            return str(error)
        if found is None:  # an INT8 file alone, and no other engine to compare with
            return None
        proof = Proof(path.name, run.backend, run.precision, dict(key), *found)
        keep_proof(proof)
    return None if proof.passed else proof.found


def _at_export(model: ModelFile, backend: str, precision: str) -> Any:
    """Return the export's facts of a file run so by this version on this CPU; None: none."""
    if model.folder is None or model.path is None:
        return None
    facts = read_report(model.folder).get(model.path.name, {})
    entries = facts.get("engines")
    wanted = {"backend": backend, "precision": precision, "cpu": this_cpu()._asdict()}
    for entry in entries if isinstance(entries, list) else ():
        if not isinstance(entry, dict) or {key: entry.get(key) for key in wanted} != wanted:
            continue
        if str(entry.get("version")).split("-", maxsplit=1)[0] != library.version():
            continue
        # Another file may have taken the name since the report was written.
        same = facts.get("sha256") in (None, file_sha256(model.path))
        return entry if same else None
    return None


def _try(run: Run, options: RunOptions) -> tuple[bool, str] | None:
    """Compare a faster precision with an exact engine; None: there is none to compare with."""
    from edgecount.runtime.backends.openvino.backend import OpenVinoBackend

    assert options.prove is not None  # noqa: S101
    reference = _reference(run)
    if reference is None and "onnxruntime" not in options.engines:
        return None
    _log.info(
        "comparing %s of %s with exact counts, once, on rendered scenes", run.precision, run.backend
    )
    with OpenVinoBackend(run.model, run.backend, options.threads, run.precision) as faster:
        if reference is None:
            # ONNX Runtime counts an INT8 file as the export has seen.
            from edgecount.runtime.backends.onnxruntime.cpu import OnnxRuntimeBackend

            exact: Backend = OnnxRuntimeBackend(run.model, "cpu", options.threads)
        else:
            exact = OpenVinoBackend(reference, "openvino", options.threads, "float32")
        gate = INT8_GATE if "int8" in run.precision else FP16_GATE
        with exact:
            return options.prove(exact, faster, run.model.manifest, gate)


def _reference(run: Run) -> ModelFile | None:
    """Return the file whose float32 counts a run is compared with; None: there is none."""
    if not run.precision.startswith("int8"):
        return run.model
    if run.model.folder is None or not (run.model.folder / FLOAT32).is_file():
        return None
    exact = open_onnx_file(run.model.folder / FLOAT32, run.model.folder)
    return exact if same_network(exact.manifest, run.model.manifest) else None


def usable_engines(
    model: ModelFile, precision: str = "auto"
) -> tuple[list[str], list[EdgeCountError]]:
    """Return the engines that can run a model on the CPU here, and why others cannot.

    OpenVINO is loaded where it may be of use: that takes a third of a second.
    """
    from edgecount.runtime.backends.onnxruntime.session import load_onnxruntime

    found: list[str] = []
    problems: list[EdgeCountError] = []
    try:
        load_onnxruntime()
        found.append("onnxruntime")
    except EdgeCountError as error:
        problems.append(error)
    named = precision not in ("auto", "float32")
    if named and not library.is_installed():
        problems.append(MissingExtraError("openvino", "openvino", f"to compute in {precision}"))
    if library.is_installed() and (named or not found or _may_be_faster(model)):
        try:
            library.core()
            found.append("openvino")
        except EdgeCountError as error:
            problems.append(error)
    return found, problems


def _may_be_faster(model: ModelFile) -> bool:
    """Return whether OpenVINO may run a model faster than ONNX Runtime does."""
    if model.folder is not None or may_have_half_precision():
        return True
    return model.path is not None and stored_precision(model.path) == "int8"
