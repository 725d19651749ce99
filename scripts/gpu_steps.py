"""The steps of gpu_check, in their order. Standard library only."""

from __future__ import annotations

import functools
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gpu_machine import BUILD_MODULES, look_around
from gpu_run import ROOT, Check, Outcome
from gpu_tests import gpu_tests, kernel_tests, sanitize

Step = Callable[[Check, bool, float], Outcome]

TOTAL = 540.0  # seconds for everything, unless told
# Seconds that a step may take at most, for that total; all up to the pipeline's, without an engine
# to build, take no more than it together.
LIMITS = {
    "build": 110,
    "extension": 20,
    "imports": 30,
    "engine": 100,
    "gpu": 170,
    "memcheck": 60,
    "kernels": 100,
    "pipeline": 50,
    "cpu": 40,
    "racecheck": 40,
    "synccheck": 40,
    "initcheck": 40,
}
# What the steps import that takes long to read from a disk for the first time.
IMPORTED = ("torch", "cupy", "numba", "onnxruntime")
# The module and what `edgecount export` calls the engine's library, the best one first.
ENGINES = {
    "tensorrt": "tensorrt",
    "tensorrt_rtx": "tensorrt-rtx",
    "tensorrt_rtx_bindings": "tensorrt-rtx",
}
# What `edgecount export` says where a machine can have no engine, and the GPU part has no fault.
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
    """All steps one after the other; one that fails does not stop those that can do without it."""
    if check.wheels:
        yield install_wheels(check, check.wheels)
        check.machine = look_around(check.machine.python[0], check.folders)
    built = True
    if check.build:
        outcome = build(check)
        built = outcome.status == "passed"
        yield outcome
    found = find_extension(check, built)
    yield found
    works = found.status == "passed"
    for name, step in STEPS.items():
        if not check.only or name in check.only:
            yield step(check, works, LIMITS[name])


def scale(total: float, only: Sequence[str]) -> float:
    """What the limits are multiplied by, for a total in seconds and the steps that are run."""
    chosen = sum(LIMITS[name] for name in {"build", "extension", *(only or LIMITS)})
    return max(total / TOTAL, total / chosen)


def install_wheels(check: Check, folder: Path) -> Outcome:
    """Unpack a folder of wheels beside the build."""
    wheels = sorted(str(path) for path in folder.glob("*.whl"))
    if not wheels:
        return Outcome("wheels", "failed", f"no .whl file in {folder}")
    return check.run("wheels", [*pip(check), "--no-index", *wheels], 60)[0]


def pip(check: Check) -> list[str]:
    """The start of a command that installs into the work folder alone."""
    python = check.machine.python[0]
    options = ["--no-deps", "--no-compile", "--no-cache-dir", "--upgrade"]
    options += ["--disable-pip-version-check", "--no-input", "--target", str(check.site)]
    return [python, "-m", "pip", "install", *options]


def build(check: Check) -> Outcome:
    """Compile the checkout for this GPU."""
    machine = check.machine
    if "nvcc" not in machine.tools:
        return Outcome("build", "failed", "no nvcc: install the CUDA toolkit, or use --no-build")
    isolated = [name for name in BUILD_MODULES if name not in machine.modules]
    options = [] if isolated else ["--no-build-isolation", "--no-index"]
    if isolated and check.wheels:
        options = ["--no-index", "--find-links", str(check.wheels)]
    arguments = f"-DEDGECOUNT_CUDA=ON {os.environ.get('CMAKE_ARGS', '')}".strip()
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    env = {"CMAKE_ARGS": arguments, "CMAKE_BUILD_PARALLEL_LEVEL": jobs}
    if machine.gpu:
        env["CUDAARCHS"] = f"{machine.gpu.architecture}-real"
    if not shutil.which("nvcc"):
        env["CUDACXX"] = machine.tools["nvcc"]
    command = [*pip(check), *options, str(ROOT)]
    outcome, _ = check.run("build", command, LIMITS["build"], env)
    outcome.command = " ".join(f"{k}={v!r}" for k, v in env.items()) + " " + outcome.command
    if outcome.status == "failed" and isolated:
        outcome.said += f"; {' and '.join(isolated)} not installed, so pip needed an index"
    elif outcome.status == "failed":
        # Their versions are not looked at where they need not be installed first.
        used = " and ".join(machine.modules[name] for name in BUILD_MODULES)
        outcome.said += f"; with {used}: --wheels gives others"
    return outcome


def find_extension(check: Check, built: bool) -> Outcome:
    """Whether the module that Python finds is the one to check, and sees the GPU."""
    name = "extension"
    if not built:
        return Outcome(name, "skipped", "the build did not succeed")
    command = [check.machine.python[0], "-c", _SAY_EXTENSION]
    outcome, output = check.run(name, command, LIMITS[name])
    lines = output.strip().splitlines()
    if len(lines) > 1 and "CUDA part" in lines[-1]:
        outcome.said = lines[-1]
        if check.build and not lines[-2].startswith("WORK"):
            outcome.status = "failed"
            outcome.said = (
                "Python finds another edgecount, which is installed in editable mode: check that "
                "one with --no-build, or give another Python"
            )
    return outcome


def read_packages(check: Check, works: bool, limit: float) -> Outcome:
    """Import what later steps do, so that reading it for the first time is not in their time."""
    name = "imports"
    modules = [module for module in IMPORTED if module in check.machine.modules]
    if not works or not modules:
        return Outcome(name, "skipped", "no working CUDA part" if modules else "nothing to import")
    command = [check.machine.python[0], "-c", _IMPORT, *modules]
    outcome, output = check.run(name, command, limit)
    outcome.said = ", ".join(line for line in [*output.strip().splitlines(), outcome.said] if line)
    # What does not import is no fault of ours, and its tests say so.
    outcome.status = "passed" if outcome.status == "passed" else "skipped"
    return outcome


def build_engine(check: Check, works: bool, limit: float) -> Outcome:
    """Make a TensorRT engine of the model; where there is none, others have to do."""
    name = "engine"
    if not works:
        return Outcome(name, "skipped", "no working CUDA part")
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
        outcome.said = f"{targets[0]}, float16"
    elif outcome.said == "exit code 1":
        outcome.said = (output.strip().splitlines() or [outcome.said])[-1]
        if any(reason in outcome.said for reason in NO_ENGINE):
            outcome.status = "skipped"
    return outcome


def kernel_benchmark(check: Check, works: bool, limit: float) -> Outcome:
    """Measure the kernels."""
    return benchmark(check, works, "kernels", [], limit)


def pipeline_benchmark(check: Check, works: bool, limit: float) -> Outcome:
    """Measure the way of a frame."""
    return benchmark(check, works, "pipeline", [check.model], limit)


def benchmark(
    check: Check, works: bool, name: str, arguments: Sequence[str], limit: float
) -> Outcome:
    """Run one of the benchmarks, which leaves its numbers in the work folder."""
    title = f"benchmark {name}"
    if not works:
        return Outcome(title, "skipped", "no working CUDA part")
    script = ROOT / "benchmarks" / f"gpu_{name}.py"
    quick = ["--quick"] if check.quick else []
    path = check.work / f"{name}.json"
    command = [check.machine.python[0], str(script), *arguments, *quick, "--json", str(path)]
    outcome, output = check.run(title, command, limit)
    outcome.skipped = [
        f"{title}: {reason}" for reason in re.findall(r"^skipped: (.*)$", output, re.M)
    ]
    if outcome.status == "passed":
        outcome.said = "measured"
    elif outcome.timed_out and path.exists():
        # The rows that goals look at are measured first, and each is written at once.
        outcome.status, outcome.said = "passed", f"measured in part: {outcome.said}"
    return outcome


STEPS: dict[str, Step] = {
    "imports": read_packages,
    "engine": build_engine,
    "gpu": gpu_tests,
    "memcheck": functools.partial(sanitize, tool="memcheck"),
    "kernels": kernel_benchmark,
    "pipeline": pipeline_benchmark,
    "cpu": kernel_tests,
    "racecheck": functools.partial(sanitize, tool="racecheck"),
    "synccheck": functools.partial(sanitize, tool="synccheck"),
    "initcheck": functools.partial(sanitize, tool="initcheck"),
}
