"""The steps of gpu_check: programs that are run within a time limit. Standard library only."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gpu_machine import BUILD_MODULES, TEST_MODULES, Machine, look_around, with_path

ROOT = Path(__file__).resolve().parent.parent
SANITIZERS = ("memcheck", "racecheck", "synccheck", "initcheck")
# What runs under compute-sanitizer: kernels on small maps, and no other library's.
SANITIZED = ("test_count_maps.py", "test_preprocess.py", "test_threads.py")
SELECTED = "not libraries and not another_stream and not largest and not 8k"
# These need no GPU, and a compiler for minutes.
UNRELATED = ("test_sanitize.py", "test_aarch64.py")
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
_LEAST = 3.0  # seconds: with less left, a step is not begun
_TAIL = 60  # lines of a failed step's output that are kept
_SAY_EXTENSION = """
from edgecount import _ext
print(_ext.__file__)
built, number = _ext.cuda_built, _ext.cuda_device_count()
print("CUDA part", "built," if built else "missing,", number, "GPUs that it can use")
raise SystemExit(not (built and number))
"""


@dataclass
class Outcome:
    """What came of a step.

    Attributes:
        name: of the step.
        status: "passed", "failed" or "skipped".
        said: the result or the reason, on one line.
        seconds: how long it took.
        command: what was run.
        tail: the end of the output of a failed step.
        skipped: what the step itself left out, and why.
        timed_out: whether it was ended because it took too long.
    """

    name: str
    status: str
    said: str = ""
    seconds: float = 0.0
    command: str = ""
    tail: str = ""
    skipped: list[str] = field(default_factory=list)
    timed_out: bool = False


@dataclass
class Check:
    """What is to be done, and where.

    Attributes:
        machine: what there is.
        work: a folder for builds and numbers, which is removed afterwards.
        deadline: by time.monotonic; nothing runs past it.
        wheels: a folder of wheels to install beside the build.
        build: whether to build; else what is installed is checked.
        quick: fewer maps, frames and shapes.
        model: whose way through the GPU is measured.
    """

    machine: Machine
    work: Path
    deadline: float
    wheels: Path | None = None
    build: bool = True
    quick: bool = False
    model: str = "edgecount-s"

    @property
    def site(self) -> Path:
        """Where the build is installed."""
        return self.work / "site"

    @property
    def folders(self) -> list[str]:
        """In front of Python's search path."""
        return [str(self.site)] if self.build or self.wheels else []

    def run(
        self,
        name: str,
        command: Sequence[str],
        limit: float,
        env: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> tuple[Outcome, str]:
        """Run a program in a folder, by default the work folder, with its children at most so long.

        Not in the checkout itself, whose folder edgecount/ would hide what is installed. Its
        outcome and its output.
        """
        shown = self.shorten(shlex.join(command))
        left = self.deadline - time.monotonic()
        if left < _LEAST:
            return Outcome(name, "skipped", "no time was left for it", command=shown), ""
        limit = min(limit, left)
        log = self.work / "log.txt"
        start = time.monotonic()
        with log.open("wb") as file:
            process = subprocess.Popen(
                list(command),
                stdout=file,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**with_path(self.folders), **(env or {})},
                cwd=folder or self.work,
                start_new_session=True,
            )
            code = wait(process, limit)
        output = self.shorten(log.read_text(errors="replace"))
        seconds = time.monotonic() - start
        if code == 0:
            return Outcome(name, "passed", seconds=seconds, command=shown), output
        said = f"not done after {limit:.0f} s" if code is None else f"exit code {code}"
        tail = "\n".join(output.rstrip().splitlines()[-_TAIL:])
        timed_out = code is None
        return Outcome(name, "failed", said, seconds, shown, tail, timed_out=timed_out), output

    def shorten(self, text: str) -> str:
        """Without the folders of this machine."""
        text = text.replace(self.machine.python[0], "python3")
        for folder, name in ((self.work, "WORK"), (ROOT, "."), (Path.home(), "~")):
            if folder != Path(folder.anchor):
                text = text.replace(str(folder), name)
        return text


def wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """The exit code; None if the program had to be ended, with all that it had begun."""
    try:
        return process.wait(limit)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return None
        raise


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
    yield build_engine(check, works)
    for step in (kernel_tests, gpu_tests, kernel_benchmark, pipeline_benchmark):
        yield step(check, works)
    for tool in SANITIZERS:
        yield sanitize(check, works, tool)


def install_wheels(check: Check, folder: Path) -> Outcome:
    """Unpack a folder of wheels beside the build."""
    wheels = sorted(str(path) for path in folder.glob("*.whl"))
    if not wheels:
        return Outcome("wheels", "failed", f"no .whl file in {folder}")
    return check.run("wheels", [*pip(check), "--no-index", *wheels], 120)[0]


def pip(check: Check) -> list[str]:
    """The start of a command that installs into the work folder alone."""
    python = check.machine.python[0]
    options = ["--no-deps", "--no-compile", "--disable-pip-version-check", "--upgrade"]
    return [python, "-m", "pip", "install", *options, "--target", str(check.site)]


def build(check: Check) -> Outcome:
    """Compile the checkout for this GPU."""
    machine = check.machine
    if "nvcc" not in machine.tools:
        return Outcome("build", "failed", "no nvcc: install the CUDA toolkit, or use --no-build")
    isolated = [name for name in BUILD_MODULES if name not in machine.modules]
    options = [] if isolated else ["--no-build-isolation"]
    if isolated and check.wheels:
        options = ["--no-index", "--find-links", str(check.wheels)]
    arguments = f"-DEDGECOUNT_CUDA=ON {os.environ.get('CMAKE_ARGS', '')}".strip()
    jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
    env = {"CMAKE_ARGS": arguments, "CMAKE_BUILD_PARALLEL_LEVEL": jobs}
    if machine.gpu:
        env["CUDAARCHS"] = f"{machine.gpu.architecture}-real"
    if not shutil.which("nvcc"):
        env["CUDACXX"] = machine.tools["nvcc"]
    outcome, _ = check.run("build", [*pip(check), *options, str(ROOT)], 300, env)
    outcome.command = " ".join(f"{k}={v!r}" for k, v in env.items()) + " " + outcome.command
    if outcome.status == "failed" and isolated:
        outcome.said += f"; {' and '.join(isolated)} not installed, so pip needed an index"
    return outcome


def find_extension(check: Check, built: bool) -> Outcome:
    """Whether the module that Python finds is the one to check, and sees the GPU."""
    name = "extension"
    if not built:
        return Outcome(name, "skipped", "the build did not succeed")
    outcome, output = check.run(name, [check.machine.python[0], "-c", _SAY_EXTENSION], 60)
    lines = output.strip().splitlines()
    if outcome.status == "passed":
        outcome.said = lines[-1]
        if check.build and not lines[0].startswith("WORK"):
            outcome.status = "failed"
            outcome.said = (
                "Python finds another edgecount, which is installed in editable mode: check that "
                "one with --no-build, or give another Python"
            )
    elif len(lines) > 1 and "CUDA part" in lines[-1]:
        outcome.said = lines[-1]
    return outcome


def build_engine(check: Check, works: bool) -> Outcome:
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
    outcome, output = check.run(name, [*command, *options], 200)
    if outcome.status == "passed":
        check.model = str(folder)
        outcome.said = f"{targets[0]}, float16"
    elif outcome.said == "exit code 1":
        outcome.said = (output.strip().splitlines() or [outcome.said])[-1]
        if any(reason in outcome.said for reason in NO_ENGINE):
            outcome.status = "skipped"
    return outcome


def kernel_tests(check: Check, works: bool) -> Outcome:
    """The tests of the C++ kernels on the CPU."""
    ignored = [f"--ignore=cpp_ext/{name}" for name in UNRELATED]
    return run_tests(check, works, "CPU kernels", ["cpp_ext", *ignored], 120)


def gpu_tests(check: Check, works: bool) -> Outcome:
    """The tests that need a GPU."""
    env = {
        "EDGECOUNT_GPU_ROUNDS": "0.1" if check.quick else "1",
        "EDGECOUNT_GPU_MODEL": check.model,
    }
    return run_tests(check, works, "GPU tests", ["gpu"], 240, env)


def sanitize(check: Check, works: bool, tool: str) -> Outcome:
    """A few GPU tests under a tool of compute-sanitizer."""
    name = f"compute-sanitizer {tool}"
    if check.quick and tool != "memcheck":
        return Outcome(name, "skipped", "left out by --quick")
    program = check.machine.tools.get("compute-sanitizer")
    if not program:
        return Outcome(name, "skipped", "compute-sanitizer is not installed")
    tests = [f"gpu/{file}" for file in SANITIZED]
    wrapper = [program, "--tool", tool, "--error-exitcode", "99", "--print-limit", "5"]
    env = {"EDGECOUNT_GPU_ROUNDS": "0"}
    outcome = run_tests(check, works, name, [*tests, "-k", SELECTED], 90, env, wrapper)
    # A tool may make kernels a hundred times slower: what it has not found by then is no fault.
    if outcome.status == "failed" and outcome.timed_out:
        outcome.status = "skipped"
    return outcome


def run_tests(
    check: Check,
    works: bool,
    name: str,
    arguments: Sequence[str],
    limit: float,
    env: Mapping[str, str] | None = None,
    wrapper: Sequence[str] = (),
) -> Outcome:
    """Run pytest in tests/, and read what it says of passed and skipped tests."""
    missing = [module for module in TEST_MODULES if module not in check.machine.modules]
    if missing or not works:
        why = f"not installed: {', '.join(missing)}" if missing else "no working CUDA part"
        return Outcome(name, "skipped", why)
    command = [
        *wrapper,
        *(check.machine.python[0], "-m", "pytest", "-q", "-ra", "--tb=short", "--maxfail=10"),
        *("-p", "no:cacheprovider"),
        # Versions of other packages than the ones we test with have warnings of their own.
        *("-o", "filterwarnings=default", *arguments),
    ]
    # Nor should other packages' plugins have a say.
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    folder = ROOT / "tests"
    outcome, output = check.run(name, command, limit, {**quiet, **(env or {})}, folder)
    read_pytest(outcome, output)
    return outcome


def read_pytest(outcome: Outcome, output: str) -> None:
    """Take what pytest said at its end into the outcome."""
    found = re.findall(r"^.*\b(?:passed|failed|skipped|errors?)\b.* in [\d.]+s.*$", output, re.M)
    if found:
        summary = found[-1].strip("= ")
        failed = outcome.status == "failed"
        outcome.said = f"{summary}; {outcome.said}" if failed else summary
        if not failed and "passed" not in summary:
            outcome.status = "skipped"
    reasons = collections.Counter[str]()
    for count, reason in re.findall(r"^SKIPPED \[(\d+)\] \S+?:(?:\d+:)? (.*)$", output, re.M):
        reasons[reason] += int(count)
    outcome.skipped = [f"{outcome.name}: {n} x {reason}" for reason, n in reasons.items()]


def kernel_benchmark(check: Check, works: bool) -> Outcome:
    """Measure the kernels."""
    return benchmark(check, works, "kernels", [], 120)


def pipeline_benchmark(check: Check, works: bool) -> Outcome:
    """Measure the way of a frame."""
    return benchmark(check, works, "pipeline", [check.model], 120)


def benchmark(
    check: Check, works: bool, name: str, arguments: Sequence[str], limit: float
) -> Outcome:
    """Run one of the benchmarks, which leaves its numbers in the work folder."""
    title = f"benchmark {name}"
    if not works:
        return Outcome(title, "skipped", "no working CUDA part")
    script = ROOT / "benchmarks" / f"gpu_{name}.py"
    quick = ["--quick"] if check.quick else []
    numbers = ["--json", str(check.work / f"{name}.json")]
    command = [check.machine.python[0], str(script), *arguments, *quick, *numbers]
    outcome, output = check.run(title, command, limit)
    outcome.skipped = [
        f"{title}: {reason}" for reason in re.findall(r"^skipped: (.*)$", output, re.M)
    ]
    if outcome.status == "passed":
        outcome.said = "measured"
    return outcome
