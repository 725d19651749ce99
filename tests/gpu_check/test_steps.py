"""The steps of `scripts/gpu_check`, as far as they go without a GPU."""

from __future__ import annotations

import re
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def test_looks_around(machine: Any) -> None:
    assert machine.python[1] == sys.version.split()[0]
    assert machine.modules["pytest"] == f"pytest {pytest.__version__}"
    assert "cores" in machine.system


def test_a_step_that_passes_and_one_that_fails(check: Any) -> None:
    passed, output = check.run("first", [sys.executable, "-c", "print('seen')"], 50)
    assert (passed.status, passed.tail, output) == ("passed", "", "seen\n")
    assert passed.command == "python3 -c 'print('\"'\"'seen'\"'\"')'"
    code = f"print({str(ROOT / 'scripts')!r}); raise SystemExit(7)"
    failed, _ = check.run("second", [sys.executable, "-c", code], 50)
    assert (failed.status, failed.message) == ("failed", "exit code 7")
    assert failed.tail == "./scripts"


def test_a_step_past_its_limit_is_ended_with_its_children(check: Any, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(alive)!r}).touch()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    outcome, _ = check.run("endless", [sys.executable, "-c", code], 0.7)
    assert (outcome.status, outcome.message) == ("failed", "not done after 1 s")
    time.sleep(2.5)
    assert not alive.exists()


def test_tests_that_take_too_long_say_how_far_they_got(
    scripts: Any, check: Any, tmp_path: Path
) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text("import time\ndef test_one(): pass\ndef test_two(): time.sleep(60)\n")
    outcome = scripts.suites.run_tests(check, "some", [str(tests)], 5)[0]
    assert (outcome.status, outcome.timed_out) == ("failed", True)
    assert outcome.message.startswith("1 passed in ")
    assert outcome.message.endswith("; not done after 5 s")


def test_what_the_end_of_all_time_cuts_off_has_not_failed(check: Any) -> None:
    check.deadline = time.monotonic() + 3.5
    outcome, _ = check.run("long", [sys.executable, "-c", "import time; time.sleep(60)"], 50)
    assert outcome.status == "skipped"
    assert outcome.message.endswith("when the time for everything was up")


def test_imports_are_named_with_their_time_or_their_fault(check: Any, scripts: Any) -> None:
    check.machine = check.machine._replace(modules={"numba": "numba 1.0"})
    (check.work / "numba.py").write_text("raise ImportError('Numba needs another NumPy')\n")
    outcome = scripts.steps.read_packages(check, 50)
    assert outcome.status == "passed"
    assert outcome.message == "numba: ImportError: Numba needs another NumPy"


def test_no_step_begins_without_time(check: Any) -> None:
    check.deadline = time.monotonic()
    outcome, _ = check.run("late", [sys.executable, "-c", "raise SystemExit(1)"], 50)
    assert (outcome.status, outcome.message) == ("skipped", "no time was left for it")


def test_reads_what_pytest_says(scripts: Any, check: Any, tmp_path: Path) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text(
        "import pytest\n"
        "def test_one(): pass\n"
        "@pytest.mark.skip(reason='no such thing: here')\n"
        "def test_two(): pass\n"
    )
    outcome = scripts.suites.run_tests(check, "some", [str(tests)], 60)[0]
    assert outcome.status == "passed"
    assert outcome.message.startswith("1 passed, 1 skipped in ")
    assert outcome.skipped == ["some: 1 x no such thing: here"]
    tests.write_text("def test_one(): assert 1 == 2\n")
    (tmp_path / "test_broken.py").write_text("import no_such_module\n")
    outcome = scripts.suites.run_tests(check, "some", [str(tmp_path)], 60)[0]
    assert outcome.status == "failed"
    assert outcome.message.startswith("1 failed, 1 error in ")
    assert "assert 1 == 2" in outcome.tail


@pytest.mark.usefixtures("without_gpu")
def test_what_needs_the_gpu_is_skipped_when_there_is_none(scripts: Any, check: Any) -> None:
    outcomes = list(scripts.steps.steps(check))
    assert outcomes[0].name == "extension"
    assert outcomes[0].status == "failed"
    assert outcomes[0].message.endswith("0 GPUs that it can use")
    assert {outcome.status for outcome in outcomes[1:]} == {"skipped"}
    assert len(outcomes) == 1 + len(scripts.steps.STEPS)


@pytest.mark.usefixtures("without_gpu")
def test_some_steps_alone(scripts: Any, check: Any) -> None:
    check.only = ("kernels", "memcheck")
    names = [outcome.name for outcome in scripts.steps.steps(check)]
    assert names == ["extension", "memcheck", "kernels"]


def test_limits_add_up(scripts: Any) -> None:
    steps, names = scripts.steps, list(scripts.steps.STEPS)
    first = set(names[: names.index("pipeline") + 1]) - {"engine"}
    together = sum(steps.STEPS[name][0] for name in first)
    assert steps.BUILD + steps.EXTENSION + together <= steps.TOTAL
    assert names.index("memcheck") < names.index("kernels")
    assert steps.scale(steps.TOTAL, []) == 1
    assert steps.scale(2 * steps.TOTAL, []) == 2
    limit = steps.STEPS["memcheck"][0]
    assert limit < steps.scale(steps.TOTAL, ["memcheck"]) * limit < steps.TOTAL


def test_nothing_that_compiles_for_minutes_is_run(scripts: Any) -> None:
    folder = ROOT / "tests" / "cpp_ext"
    left_out = set(scripts.suites.UNRELATED)
    starts_compilers = re.compile(r"^(?:import subprocess|from ptx)\b", re.MULTILINE)
    compiling = {
        path.name
        for path in folder.glob("test_*.py")
        if starts_compilers.search(path.read_text(encoding="utf-8"))
    }
    assert left_out == compiling


def test_a_build_without_nvcc_fails_and_nothing_else_is_tested(scripts: Any, check: Any) -> None:
    check.build = True
    check.machine = check.machine._replace(tools={})
    outcomes = list(scripts.steps.steps(check))
    assert [outcome.status for outcome in outcomes[:2]] == ["failed", "skipped"]
    assert outcomes[0].message.startswith("no nvcc: ")


def test_an_export_that_fails_is_a_failure(scripts: Any, check: Any) -> None:
    pytest.importorskip("click")
    check.machine = check.machine._replace(modules={"tensorrt": "tensorrt 10.3.0"})
    check.model = "no-such-model"
    outcome = scripts.steps.build_engine(check, 60)
    assert outcome.status == "failed"
    assert "no-such-model" in outcome.message
    assert check.model == "no-such-model"


def test_where_there_can_be_no_engine_is_no_failure(scripts: Any, check: Any) -> None:
    if find_spec("tensorrt"):
        pytest.skip("TensorRT is installed")
    check.machine = check.machine._replace(modules={"tensorrt": "tensorrt 10.3.0"})
    outcome = scripts.steps.build_engine(check, 60)
    assert outcome.status == "skipped", outcome.tail
    assert "is not installed" in outcome.message
    assert check.model == "edgecount-s"


def test_missing_test_packages_are_named(scripts: Any, check: Any) -> None:
    modules = {name: name for name in check.machine.modules if name not in ("onnx", "hypothesis")}
    check.machine = check.machine._replace(modules=modules)
    outcome = scripts.suites.gpu_tests(check, 60)
    assert (outcome.status, outcome.message) == ("skipped", "not installed: onnx")
    outcome = scripts.suites.kernel_tests(check, 60)
    assert (outcome.status, outcome.message) == ("skipped", "not installed: onnx, hypothesis")
