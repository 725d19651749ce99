"""The steps of gpu_check, in their order. Standard library only."""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from machine import BUILD_MODULES, look_around
from requirements import WHEELS, unmet
from run import ROOT, Check, Outcome
from suites import gpu_tests, kernel_tests, sanitize

TOTAL = 480.0  # seconds for everything, unless --limit says another number
BUILD, EXTENSION = 100.0, 15.0  # seconds of them for the steps before those that can be chosen
# Boards with few cores take longer, and without a build there is nothing to check.
LONGEST_BUILD = 240.0
# Packages that take long to read from a disk for the first time.
IMPORTED = ("torch", "cupy", "numba", "onnxruntime")
# The module, and the name of the engine's library in `edgecount export`, the best one first.
ENGINES = {
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt-rtx",
    "tensorrt_rtx_bindings": "tensorrt-rtx",
}
# Words of `edgecount export` where a machine can have no engine, and the GPU part has no fault.
# Whatever else ends an export is a failure: a builder's error, an engine that counts otherwise.
NO_ENGINE = (
    "is not installed",  # TensorRT, or a package that exports need
    "is installed and does not load",  # TensorRT without its libraries
    "and there is none here",  # no driver, or one that shows no GPU
)
_SAY_EXTENSION = """
from edgecount import _ext
print(_ext.__file__)
built, number = _ext.cuda_built, _ext.cuda_device_count()
print("CUDA part", "built," if built else "missing,", number, "GPUs that it can use")
raise SystemExit(not (built and number))
"""
_IMPORT = """
import importlib, sys, time
for name in sys.argv[1:]:
    start = time.perf_counter()
    try:
        importlib.import_module(name)
        print(f"{name} {time.perf_counter() - start:.1f} s", flush=True)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
"""


def steps(check: Check) -> Iterator[Outcome]:
    """Run all steps one after the other; one that fails does not stop those that can go on."""
    if check.wheels is None and check.build and unmet(check.machine.modules) and WHEELS.is_dir():
        check.wheels = WHEELS
    if check.wheels:
        yield install_wheels(check, check.wheels)
        check.machine = look_around(check.machine.python[0], check.folders)
    built = build(check) if check.build else None
    if built:
        yield built
    found = find_extension(check, built is None or built.status == "passed")
    yield found
    for name in [name for name in STEPS if not check.only or name in check.only]:
        limit, step = STEPS[name]
        works = found.status == "passed"
        yield step(check, limit) if works else Outcome(name, "skipped", "no working CUDA part")


def scale(total: float, only: Sequence[str]) -> float:
    """Return the factor of the limits, for a total in seconds and the steps that are run."""
    chosen = BUILD + EXTENSION + sum(STEPS[name][0] for name in set(only or STEPS))
    return max(total / TOTAL, total / chosen)


def install_wheels(check: Check, folder: Path) -> Outcome:
    """Unpack a folder of wheels beside the build."""
    wheels = sorted(str(path) for path in folder.glob("*.whl"))
    if not wheels:
        return Outcome("wheels", "failed", f"no .whl file in {folder}")
    return check.run("wheels", [*pip(check), "--no-index", *wheels], 60)[0]


def pip(check: Check) -> list[str]:
    """Return the start of a command that installs into the work folder alone."""
    command = "-m pip install --no-deps --no-compile --no-cache-dir --upgrade --no-input"
    options = [*command.split(), "--disable-pip-version-check", "--target", str(check.site)]
    return [check.machine.python[0], *options]


def build(check: Check) -> Outcome:
    """Compile the checkout for this GPU."""
    machine = check.machine
    if "nvcc" not in machine.tools:
        return Outcome("build", "failed", "no nvcc: install the CUDA toolkit, or use --no-build")
    lacking = unmet(machine.modules)
    # Without a network pip would go on asking for minutes.
    asking = ["--retries", "1", "--timeout", "10"]
    options = asking if lacking else ["--no-build-isolation", "--no-index"]
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    arguments = f"-DEDGECOUNT_CUDA=ON {os.environ.get('CMAKE_ARGS', '')}".strip()
    env = {"CMAKE_ARGS": arguments, "CMAKE_BUILD_PARALLEL_LEVEL": jobs}
    if machine.gpu:
        env["CUDAARCHS"] = f"{machine.gpu.capability.replace('.', '')}-real"
    if not shutil.which("nvcc"):
        env["CUDACXX"] = machine.tools["nvcc"]
    outcome, _ = check.run("build", [*pip(check), *options, str(ROOT)], LONGEST_BUILD, env)
    outcome.command = " ".join(f"{k}={v!r}" for k, v in env.items()) + " " + outcome.command
    if outcome.timed_out:
        outcome.message += ": give it more with --limit, or build before and check with --no-build"
    elif outcome.status == "failed" and lacking:
        outcome.message += (
            f"; it needs {' and '.join(lacking)}, for which pip asked an index: without a network "
            f"run  scripts/gpu_check --fetch  elsewhere and bring {WHEELS.relative_to(ROOT)}/"
        )
    elif outcome.status == "passed" and not lacking:
        outcome.message = "with " + ", ".join(machine.modules[name] for name in BUILD_MODULES)
    return outcome


def find_extension(check: Check, built: bool) -> Outcome:
    """Check that the module that Python finds is the one to check, and sees the GPU."""
    if not built:
        return Outcome("extension", "skipped", "the build did not succeed")
    command = [check.machine.python[0], "-c", _SAY_EXTENSION]
    outcome, output = check.run("extension", command, EXTENSION)
    lines = output.strip().splitlines()
    if len(lines) > 1 and "CUDA part" in lines[-1]:
        outcome.message = lines[-1]
        if check.build and not lines[-2].startswith("WORK"):
            outcome.status = "failed"
            outcome.message = (
                "Python finds another edgecount, which is installed in editable mode: check that "
                "one with --no-build, or give another Python"
            )
    return outcome


def read_packages(check: Check, limit: float) -> Outcome:
    """Import what later steps do, so that reading it for the first time is not in their time."""
    modules = [module for module in IMPORTED if module in check.machine.modules]
    if not modules:
        return Outcome("imports", "skipped", "nothing to import")
    command = [check.machine.python[0], "-c", _IMPORT, *modules]
    outcome, output = check.run("imports", command, limit)
    outcome.message = ", ".join(filter(None, [*output.strip().splitlines(), outcome.message]))
    # A package that does not import is no fault of ours, and its tests say so.
    outcome.status = "passed" if outcome.status == "passed" else "skipped"
    return outcome


def build_engine(check: Check, limit: float) -> Outcome:
    """Make a TensorRT engine of the model; without TensorRT other engines are measured."""
    name = "engine"
    if Path(check.model).exists():
        return Outcome(name, "skipped", f"{check.model} is measured as it is")
    targets = [target for module, target in ENGINES.items() if module in check.machine.modules]
    if not targets:
        return Outcome(name, "skipped", "no TensorRT is installed")
    folder = check.work / "engine"
    command = [check.machine.python[0], "-m", "edgecount", "export", check.model, "--fp16"]
    options = ["--target", targets[0], "--batch", "4", "--out", str(folder)]
    outcome, output = check.run(name, [*command, *options], limit)
    if outcome.status == "passed":
        check.model = str(folder)
        outcome.message = f"{targets[0]}, float16"
    elif outcome.message == "exit code 1":
        outcome.message = (output.strip().splitlines() or [outcome.message])[-1]
        if any(reason in outcome.message for reason in NO_ENGINE):
            outcome.status = "skipped"
    return outcome


def benchmark(check: Check, limit: float, name: str) -> Outcome:
    """Run one of the benchmarks, which leaves its numbers and tables in the work folder."""
    path = check.work / f"{name}.json"
    arguments = [check.model] if name == "pipeline" else []
    arguments += ["--quick"] if check.quick else []
    script = ROOT / "benchmarks" / "gpu" / f"{name}.py"
    command = [check.machine.python[0], str(script), *arguments, "--json", str(path)]
    outcome, output = check.run(name, command, limit)
    reasons = re.findall(r"^skipped: (.*)$", output, re.MULTILINE)
    outcome.skipped = [f"{name}: {reason}" for reason in reasons]
    if outcome.status == "passed":
        outcome.message = "measured"
    elif outcome.timed_out and path.exists():
        # The rows that goals look at are measured first, and each is written at once.
        outcome.status, outcome.message = "passed", f"measured in part: {outcome.message}"
    return outcome


# The steps that need a working build: seconds that each may take at most, and what does it. All up
# to the pipeline, without an engine to build, take no more than TOTAL together.
STEPS: dict[str, tuple[float, Callable[[Check, float], Outcome]]] = {
    "imports": (25, read_packages),
    "engine": (100, build_engine),
    "gpu": (160, gpu_tests),
    "memcheck": (50, functools.partial(sanitize, tool="memcheck")),
    "kernels": (90, functools.partial(benchmark, name="kernels")),
    "pipeline": (40, functools.partial(benchmark, name="pipeline")),
    "cpu": (40, kernel_tests),
    "racecheck": (40, functools.partial(sanitize, tool="racecheck")),
    "synccheck": (40, functools.partial(sanitize, tool="synccheck")),
    "initcheck": (40, functools.partial(sanitize, tool="initcheck")),
}
