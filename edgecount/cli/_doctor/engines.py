"""edgecount's own kernels, the GPU and ONNX Runtime."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from edgecount._telemetry import refuse_reports
from edgecount.cli._doctor.check import Check, Status
from edgecount.cli._doctor.commands import SECONDS_TO_LOAD, Answer, Ask, ask
from edgecount.cli._doctor.jetson import is_jetson
from edgecount.cli._doctor.toolkit import find_nvcc
from edgecount.models import DEFAULT_MODEL
from edgecount.runtime.cuda.build_check import why_not_built_for
from edgecount.runtime.cuda.driver import Driver, ask_driver


def has_gpu() -> bool:
    """Return whether the driver shows a GPU."""
    answer = ask_driver()
    return isinstance(answer, Driver) and bool(answer.devices)


def built_for_others() -> str | None:
    """Say why edgecount's kernels do not run on the first GPU, and what to do; None if they do."""
    from edgecount import _ext

    answer = ask_driver()
    if isinstance(answer, str) or not answer.devices:
        return None
    first = answer.devices[0]
    return why_not_built_for(first.name, first.capability, _ext.cuda_architectures)


def package(root: Path) -> Check:
    """Check the package, its compiled part, and whether that sees the GPU."""
    from edgecount import __version__

    try:
        from edgecount import _ext
    except ImportError as error:
        advice = "reinstall edgecount; from source it needs a C++17 compiler"
        return Check("edgecount", "fail", f"{__version__}, kernels not loaded: {error}", advice)
    gpu = has_gpu()
    if not _ext.cuda_built:
        found = f"{__version__}, kernels built CPU only"
        if gpu or is_jetson(root):
            return Check("edgecount", "warn", found, _build_advice(root))
        return Check("edgecount", "ok", found)
    found = f"{__version__}, kernels built with CUDA"
    if gpu and _ext.cuda_device_count() < 1:
        driver = ask_driver()
        version = driver.cuda if isinstance(driver, Driver) else "?"
        advice = (
            f"the driver is for CUDA {version}: build edgecount with that toolkit or an older one, "
            "and look at CUDA_VISIBLE_DEVICES"
        )
        return Check("edgecount", "warn", f"{found}, which finds no GPU", advice)
    if problem := built_for_others():
        what, advice = problem.split(": ", 1)
        return Check("edgecount", "warn", f"{__version__}: {what}", advice)
    return Check("edgecount", "ok", found)


def _build_advice(root: Path) -> str:
    nvcc = find_nvcc(root)
    if nvcc is None:
        toolkit = "sudo apt install nvidia-jetpack" if is_jetson(root) else "the CUDA toolkit"
        return f"for the GPU install nvcc first ( {toolkit} ), then build edgecount again"
    return (
        "for the GPU, in edgecount's sources:\n"
        f'CUDACXX={nvcc} CMAKE_ARGS="-DEDGECOUNT_CUDA=ON" pip install --force-reinstall --no-deps .'
    )


def gpu(root: Path) -> Check:
    """List the NVIDIA GPUs that the driver shows."""
    answer = ask_driver()
    if isinstance(answer, str):
        if not is_jetson(root):
            return Check("gpu", "ok", f"none: {answer}")
        return Check(
            "gpu", "warn", f"none: {answer}", "in a container:  docker run --runtime nvidia"
        )
    if not answer.devices:
        return Check("gpu", "warn", "the driver shows no GPU", "look at nvidia-smi")
    names = ", ".join(
        f"{device.name} (sm_{device.capability.replace('.', '')}, {device.memory / 2**30:.0f} GiB)"
        for device in answer.devices
    )
    return Check("gpu", "ok", f"{names}, driver for CUDA {answer.cuda}")


class Runtime(NamedTuple):
    """The state of ONNX Runtime, as another process found it.

    Attributes:
        version: version of the package; empty if it does not load.
        providers: its execution providers, such as "CPU".
        problem: the reason why it does not load, if so.
        crashes: whether loading it, or running a model with it on the GPU, ends the process, as on
            a processor that it is not built for.
        cuda_problem: the reason why it does not count on the GPU although it lists "CUDA", if so.
    """

    version: str = ""
    providers: tuple[str, ...] = ()
    problem: str = ""
    crashes: bool = False
    cuda_problem: str = ""


def try_onnxruntime(ask: Ask = ask) -> Runtime:
    """Import it in another process and, where there is a GPU, count a frame there with it."""
    refuse_reports()
    code = "import onnxruntime as o; print(o.__version__, *o.get_available_providers())"
    answer = ask(sys.executable, "-c", code, timeout=SECONDS_TO_LOAD)
    if not answer.ok:
        return Runtime(problem=answer.text, crashes=answer.crashed)
    version, *listed = answer.text.split()
    providers = tuple(name.removesuffix("ExecutionProvider") for name in listed)
    if "CUDA" not in providers or not has_gpu():
        return Runtime(version, providers)
    tried = try_cuda(ask)
    problem = "" if tried.ok else tried.text
    return Runtime(version, providers, crashes=tried.crashed, cuda_problem=problem)


def try_cuda(ask: Ask = ask) -> Answer:
    """Count a small frame on the GPU in another process.

    Builds list their CUDA provider also where CUDA or cuDNN are missing or of another version, and
    where they have no code for the GPU.
    """
    code = (
        f"import sys; sys.path = {sys.path!r}\n"
        "import numpy as np\n"
        "from edgecount import EdgeCounter\n"
        f"counter = EdgeCounter({DEFAULT_MODEL!r}, backend='onnxruntime-cuda')\n"
        "counter.count(np.zeros((64, 64, 3), np.uint8))\n"
    )
    answer = ask(sys.executable, "-c", code, timeout=SECONDS_TO_LOAD)
    return answer._replace(text=answer.text.removeprefix("edgecount.errors.BackendError: "))


def onnxruntime(runtime: Runtime) -> Check:
    """Check ONNX Runtime and its execution providers."""
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _version(name)]
    if runtime.problem:
        found = f"does not load: {runtime.problem}" if installed else "not installed"
        # TensorRT and OpenVINO run without it; the check that counts tells whether they do.
        others = has_gpu() or _version("openvino")
        status: Status = "warn" if others and not runtime.crashes else "fail"
        return Check("onnxruntime", status, found, 'run  pip install "edgecount[cpu]"')
    found = f"{runtime.version} with {', '.join(runtime.providers)}"
    if len(installed) > 1:
        advice = (
            "both install the same module: uninstall both, then install the one you want; of "
            "edgecount's extras gpu brings the one and cpu, engine and export bring the other"
        )
        return Check("onnxruntime", "warn", f"{found}, from {' and '.join(installed)}", advice)
    return Check("onnxruntime", "ok", found)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
