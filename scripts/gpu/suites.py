"""The steps of gpu_check that run tests, also under compute-sanitizer. Standard library only."""

from __future__ import annotations

import collections
import re
from collections.abc import Mapping, Sequence

from machine import KERNEL_TEST_MODULES, TEST_MODULES
from run import ROOT, Check, Outcome

# These need no GPU, and a compiler for minutes; the others of the folder are the reference's.
UNRELATED = (
    "test_aarch64.py",
    "test_emulated.py",
    "test_nvcc.py",
    "test_ptx.py",
    "test_ptx_translator.py",
    "test_sanitize.py",
)
# Tests that run under compute-sanitizer: kernels on small maps, and no other library's.
SANITIZED = (
    "test_count_boxes.py",
    "test_count_maps.py",
    "test_kept_density.py",
    "test_preprocess.py",
    "test_threads.py",
)
SELECTED = "not libraries and not another_stream and not largest and not 8k"
# Errors that calls return are raised by edgecount, so tests see those; some provoke them.
TOOL_OPTIONS = {"memcheck": ("--report-api-errors", "no")}
# Lines of compute-sanitizer that are no finding: of itself, and of a program's end.
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


def kernel_tests(check: Check, limit: float) -> Outcome:
    """Run the tests of the C++ kernels on the CPU, whose results the GPU's are compared with."""
    ignored = [f"--ignore=cpp_ext/{name}" for name in UNRELATED]
    return run_tests(check, "cpu", ["cpp_ext", *ignored], limit, needed=KERNEL_TEST_MODULES)[0]


def gpu_tests(check: Check, limit: float) -> Outcome:
    """Run the tests that need a GPU."""
    rounds = "0.1" if check.quick else "1"
    env = {"EDGECOUNT_GPU_ROUNDS": rounds, "EDGECOUNT_GPU_MODEL": check.model}
    return run_tests(check, "gpu", ["gpu", "-m", "gpu"], limit, env)[0]


def sanitize(check: Check, limit: float, tool: str) -> Outcome:
    """Run a few GPU tests under a tool of compute-sanitizer."""
    if check.quick and tool != "memcheck" and not check.only:
        return Outcome(tool, "skipped", "left out by --quick")
    program = check.machine.tools.get("compute-sanitizer")
    if not program:
        return Outcome(tool, "skipped", "compute-sanitizer is not installed")
    wrapper = [program, "--tool", tool, *TOOL_OPTIONS.get(tool, ())]
    if refusal := why_refused(check, tool, wrapper, limit):
        return refusal
    wrapper += ["--error-exitcode", "99", "--print-limit", "5"]
    arguments = [*(f"gpu/{file}" for file in SANITIZED), "-k", SELECTED]
    env = {"EDGECOUNT_GPU_ROUNDS": "0"}
    outcome, output = run_tests(check, tool, arguments, limit, env, wrapper)
    # The first line of each finding; more about it is indented.
    lines = re.findall(r"^=========  ?([A-Z].*)$", output, re.MULTILINE)
    found = [line for line in lines if not re.search(NO_FINDING, line)]
    if found:
        outcome.status, outcome.message = "failed", f"{outcome.message}; {found[0]}"
    elif outcome.timed_out and outcome.status == "failed" and " failed" not in outcome.message:
        # A tool may make kernels a hundred times slower: what it has not found by then is no fault.
        outcome.status = "skipped"
    return outcome


def why_refused(check: Check, tool: str, wrapper: Sequence[str], limit: float) -> Outcome | None:
    """Return a skipped step if the tool does not let a program use this GPU; None if it does."""
    outcome, output = check.run(tool, [*wrapper, check.machine.python[0], "-c", _TOUCH], limit / 2)
    # Of those that cannot work some run the program without looking at it, others do not run it;
    # the exit code may be 0 both times.
    errors = re.findall(r"^=+ +(Error: .*)$", output, re.MULTILINE)
    if outcome.status == "passed" and _TOUCHED in output and not errors:
        return None
    lines = [line for line in output.splitlines() if line.strip() and not line.startswith("==")]
    last = lines[-1:] if outcome.status == "failed" else []
    why = [*errors, *last, outcome.message or "it did not run the program"][0]
    outcome.status, outcome.message = "skipped", f"it does not work on this machine: {why}"
    return outcome


def run_tests(
    check: Check,
    name: str,
    arguments: Sequence[str],
    limit: float,
    env: Mapping[str, str] | None = None,
    wrapper: Sequence[str] = (),
    needed: Sequence[str] = TEST_MODULES,
) -> tuple[Outcome, str]:
    """Run pytest in tests/, after the command `wrapper`, and return its outcome and output.

    The step is skipped without the modules in `needed`.
    """
    missing = [module for module in needed if module not in check.machine.modules]
    if missing:
        return Outcome(name, "skipped", f"not installed: {', '.join(missing)}"), ""
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
    outcome, output = check.run(name, command, limit, {**quiet, **(env or {})}, ROOT / "tests")
    ends = r"^.*\b(?:passed|failed|skipped|errors?)\b.* in [\d.]+s.*$"
    for line in re.findall(ends, output, re.MULTILINE)[-1:]:
        summary, passed = line.strip("= "), outcome.status == "passed"
        outcome.message = summary if passed else f"{summary}; {outcome.message}"
        if re.search(r"\b(failed|errors?)\b", summary):
            outcome.status = "failed"
        elif passed and "passed" not in summary:
            outcome.status = "skipped"
    reasons = collections.Counter[str]()
    skips = r"^SKIPPED \[(\d+)\] \S+?:(?:\d+:)? (.*)$"
    for count, reason in re.findall(skips, output, re.MULTILINE):
        reasons[reason] += int(count)
    outcome.skipped = [f"{name}: {n} x {reason}" for reason, n in reasons.items()]
    return outcome, output
