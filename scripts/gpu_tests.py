"""The steps of gpu_check that run tests, also under compute-sanitizer. Standard library only."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence

from gpu_machine import KERNEL_TEST_MODULES, TEST_MODULES
from gpu_run import ROOT, Check, Outcome

# These need no GPU, and a compiler for minutes; the others of the folder are the reference's.
UNRELATED = ("test_aarch64.py", "test_emulated.py", "test_sanitize.py")
# What runs under compute-sanitizer: kernels on small maps, and no other library's.
SANITIZED = ("test_count_maps.py", "test_kept_density.py", "test_preprocess.py", "test_threads.py")
SELECTED = "not libraries and not another_stream and not largest and not 8k"
# Errors that calls return are raised by edgecount, so tests see those; some provoke them.
TOOL_OPTIONS = {"memcheck": ("--report-api-errors", "no")}
# What compute-sanitizer also says where it found nothing: of itself, and of a program's end.
NO_FINDING = r"COMPUTE-SANITIZER|SUMMARY: 0 |terminate|Target application|find exit code|Warning"
_TOUCHED = "the GPU's memory was written and read"
# Runs no kernel, so that nothing in it can be at fault.
_TOUCH = f"""
import numpy as np
from edgecount import _ext
stream, sent, found = _ext.Stream(), np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
array = _ext.DeviceBuffer(sent.nbytes).array(sent.shape, "float32")
stream.upload(array, sent)
stream.download(array, found)
stream.synchronize()
assert (found == sent).all()
print({_TOUCHED!r})
"""


def kernel_tests(check: Check, works: bool, limit: float) -> Outcome:
    """The tests of the C++ kernels on the CPU, whose results the GPU's are compared with."""
    ignored = [f"--ignore=cpp_ext/{name}" for name in UNRELATED]
    name, needed = "CPU kernels", KERNEL_TEST_MODULES
    return run_tests(check, works, name, ["cpp_ext", *ignored], limit, needed=needed)[0]


def gpu_tests(check: Check, works: bool, limit: float) -> Outcome:
    """The tests that need a GPU."""
    env = {
        "EDGECOUNT_GPU_ROUNDS": "0.1" if check.quick else "1",
        "EDGECOUNT_GPU_MODEL": check.model,
    }
    return run_tests(check, works, "GPU tests", ["gpu"], limit, env)[0]


def sanitize(check: Check, works: bool, limit: float, tool: str) -> Outcome:
    """A few GPU tests under a tool of compute-sanitizer."""
    name = f"compute-sanitizer {tool}"
    if check.quick and tool != "memcheck" and not check.only:
        return Outcome(name, "skipped", "left out by --quick")
    program = check.machine.tools.get("compute-sanitizer")
    if not program:
        return Outcome(name, "skipped", "compute-sanitizer is not installed")
    wrapper = [program, "--tool", tool, *TOOL_OPTIONS.get(tool, ())]
    if works:
        refusal = why_refused(check, name, wrapper, limit)
        if refusal is not None:
            return refusal
    tests = [f"gpu/{file}" for file in SANITIZED]
    wrapper += ["--error-exitcode", "99", "--print-limit", "5"]
    env = {"EDGECOUNT_GPU_ROUNDS": "0"}
    arguments = [*tests, "-k", SELECTED]
    outcome, output = run_tests(check, works, name, arguments, limit, env, wrapper)
    found = findings(output)
    if found:
        outcome.status = "failed"
        outcome.said += f"; {found[0]}"
    elif outcome.timed_out and outcome.status == "failed" and " failed" not in outcome.said:
        # A tool may make kernels a hundred times slower: what it has not found by then is no fault.
        outcome.status = "skipped"
    return outcome


def why_refused(check: Check, name: str, wrapper: Sequence[str], limit: float) -> Outcome | None:
    """A skipped step if the tool does not let a program use this GPU, which it can without it."""
    command = [*wrapper, check.machine.python[0], "-c", _TOUCH]
    outcome, output = check.run(name, command, limit / 2)
    # Of those that cannot work some run the program without looking at it, others do not run it;
    # the exit code may be 0 both times.
    errors = re.findall(r"^=+ +(Error: .*)$", output, re.M)
    if outcome.status == "passed" and _TOUCHED in output and not errors:
        return None
    outcome.said = outcome.said or "it did not run the program"
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("==")]
    last = lines[-1:] if outcome.status == "failed" else []
    outcome.status = "skipped"
    outcome.said = f"it does not work on this machine: {[*errors, *last, outcome.said][0]}"
    return outcome


def findings(output: str) -> list[str]:
    """The first line of each thing that compute-sanitizer found; more about it is indented."""
    said = re.findall(r"^=========  ?([A-Z].*)$", output, re.M)
    return [line for line in said if not re.search(NO_FINDING, line)]


def run_tests(
    check: Check,
    works: bool,
    name: str,
    arguments: Sequence[str],
    limit: float,
    env: Mapping[str, str] | None = None,
    wrapper: Sequence[str] = (),
    needed: Sequence[str] = TEST_MODULES,
) -> tuple[Outcome, str]:
    """Run pytest in tests/, and read what it says of passed and skipped tests; also the output."""
    missing = [module for module in needed if module not in check.machine.modules]
    if missing or not works:
        why = f"not installed: {', '.join(missing)}" if missing else "no working CUDA part"
        return Outcome(name, "skipped", why), ""
    command = [
        *wrapper,
        *(check.machine.python[0], "-m", "pytest", "-q", "-ra", "--tb=short", "--maxfail=10"),
        # A file that cannot be imported here does not keep the others from being run.
        *("-p", "no:cacheprovider", "--continue-on-collection-errors"),
        # Versions of other packages than the ones we test with have warnings of their own.
        *("-o", "filterwarnings=default", *arguments),
    ]
    # Nor should other packages' plugins have a say.
    quiet = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    folder = ROOT / "tests"
    outcome, output = check.run(name, command, limit, {**quiet, **(env or {})}, folder)
    read_pytest(outcome, output)
    return outcome, output


def read_pytest(outcome: Outcome, output: str) -> None:
    """Take what pytest said at its end into the outcome."""
    found = re.findall(r"^.*\b(?:passed|failed|skipped|errors?)\b.* in [\d.]+s.*$", output, re.M)
    if found:
        summary = found[-1].strip("= ")
        passed = outcome.status == "passed"
        outcome.said = summary if passed else f"{summary}; {outcome.said}"
        if re.search(r"\b(failed|errors?)\b", summary):
            outcome.status = "failed"
        elif passed and "passed" not in summary:
            outcome.status = "skipped"
    reasons = collections.Counter[str]()
    for count, reason in re.findall(r"^SKIPPED \[(\d+)\] \S+?:(?:\d+:)? (.*)$", output, re.M):
        reasons[reason] += int(count)
    outcome.skipped = [f"{outcome.name}: {n} x {reason}" for reason, n in reasons.items()]
