"""`scripts/gpu_check`: what it does without a GPU, and what it makes of numbers given to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = ("gpu_machine", "gpu_steps", "gpu_goals", "gpu_report", "gpu_check")


@pytest.fixture(scope="module")
def scripts() -> Any:
    """The script's modules; they lie beside it and not in the package."""
    before = list(sys.path)
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        yield SimpleNamespace(**{name: __import__(name) for name in MODULES})
    finally:
        sys.path[:] = before
        for name in MODULES:
            sys.modules.pop(name, None)


@pytest.fixture
def without_gpu(scripts: Any) -> None:
    if not isinstance(scripts.gpu_machine.ask_gpu(), str):
        pytest.skip("there is a GPU")


@pytest.fixture
def machine(scripts: Any) -> Any:
    """This one, with a GPU that it may not have."""
    found = scripts.gpu_machine.look_around(sys.executable, [])
    return found._replace(gpu=scripts.gpu_machine.GPU("NVIDIA Test GPU", "8.7", 2**33, "13.0"))


@pytest.fixture
def check(scripts: Any, machine: Any, tmp_path: Path) -> Any:
    return scripts.gpu_steps.Check(machine, tmp_path, time.monotonic() + 100, build=False)


def run(
    command: list[str], environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ) if environment is None else environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def run_check(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "scripts" / "gpu_check"), *arguments]
    return run(command, {**os.environ, "PYTHON": sys.executable})


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize(("arguments", "code"), [([], 1), (["--allow-none"], 0)])
def test_one_line_without_a_gpu(arguments: list[str], code: int, tmp_path: Path) -> None:
    done = run_check(*arguments, "--out", str(tmp_path))
    assert (done.returncode, done.stderr) == (code, "")
    assert done.stdout.startswith("gpu_check: nothing to check: ")
    assert len(done.stdout.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--wheels", "no/such/folder"], "--wheels: expected a folder, got no/such/folder"),
        (["--limit", "0"], "--limit: expected a number of seconds above 0, got 0"),
        (["--frobnicate"], "unrecognized arguments: --frobnicate"),
    ],
)
def test_wrong_arguments(arguments: list[str], message: str) -> None:
    done = run_check(*arguments)
    assert done.returncode == 2
    assert message in done.stderr


def test_a_python_that_cannot_be_used() -> None:
    done = run_check("--python", sys.executable + "-of-another-kind")
    assert done.returncode == 1
    assert done.stderr.startswith("gpu_check: ")
    assert "Traceback" not in done.stderr


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
    assert (failed.status, failed.said) == ("failed", "exit code 7")
    assert failed.tail == "./scripts"


def test_a_step_past_its_limit_is_ended_with_its_children(check: Any, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    child = f"import time, pathlib; time.sleep(2); pathlib.Path({str(alive)!r}).touch()"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    outcome, _ = check.run("endless", [sys.executable, "-c", code], 0.7)
    assert (outcome.status, outcome.said) == ("failed", "not done after 1 s")
    time.sleep(2.5)
    assert not alive.exists()


def test_no_step_begins_without_time(check: Any) -> None:
    check.deadline = time.monotonic()
    outcome, _ = check.run("late", [sys.executable, "-c", "raise SystemExit(1)"], 50)
    assert (outcome.status, outcome.said) == ("skipped", "no time was left for it")


def test_reads_what_pytest_says(scripts: Any, check: Any, tmp_path: Path) -> None:
    tests = tmp_path / "test_some.py"
    tests.write_text(
        "import pytest\n"
        "def test_one(): pass\n"
        "@pytest.mark.skip(reason='no such thing: here')\n"
        "def test_two(): pass\n"
    )
    outcome = scripts.gpu_steps.run_tests(check, True, "some", [str(tests)], 60)
    assert outcome.status == "passed"
    assert outcome.said.startswith("1 passed, 1 skipped in ")
    assert outcome.skipped == ["some: 1 x no such thing: here"]
    tests.write_text("def test_one(): assert 1 == 2\n")
    outcome = scripts.gpu_steps.run_tests(check, True, "some", [str(tests)], 60)
    assert outcome.status == "failed"
    assert outcome.said.startswith("1 failed in ")
    assert "assert 1 == 2" in outcome.tail


@pytest.mark.usefixtures("without_gpu")
def test_what_needs_the_gpu_is_skipped_when_there_is_none(scripts: Any, check: Any) -> None:
    outcomes = list(scripts.gpu_steps.steps(check))
    assert outcomes[0].name == "extension"
    assert outcomes[0].status == "failed"
    assert outcomes[0].said.endswith("0 GPUs that it can use")
    assert {outcome.status for outcome in outcomes[1:]} == {"skipped"}
    assert len(outcomes) == 1 + 1 + 4 + 4


def test_a_build_without_nvcc_fails_and_nothing_else_is_tested(scripts: Any, check: Any) -> None:
    check.build = True
    check.machine = check.machine._replace(tools={})
    outcomes = list(scripts.gpu_steps.steps(check))
    assert [outcome.status for outcome in outcomes[:2]] == ["failed", "skipped"]
    assert outcomes[0].said.startswith("no nvcc: ")


def test_an_export_that_fails_is_a_failure(scripts: Any, check: Any) -> None:
    pytest.importorskip("click")
    check.machine = check.machine._replace(modules={"tensorrt": "tensorrt 10.3.0"})
    check.model = "no-such-model"
    outcome = scripts.gpu_steps.build_engine(check, True)
    assert outcome.status == "failed"
    assert "no-such-model" in outcome.said
    assert check.model == "no-such-model"


def test_where_there_can_be_no_engine_is_no_failure(scripts: Any, check: Any) -> None:
    if find_spec("tensorrt"):
        pytest.skip("TensorRT is installed")
    check.machine = check.machine._replace(modules={"tensorrt": "tensorrt 10.3.0"})
    outcome = scripts.gpu_steps.build_engine(check, True)
    assert outcome.status == "skipped", outcome.tail
    assert "is not installed" in outcome.said
    assert check.model == "edgecount-s"


def test_missing_test_packages_are_named(scripts: Any, check: Any) -> None:
    modules = {name: name for name in check.machine.modules if name not in ("onnx", "hypothesis")}
    check.machine = check.machine._replace(modules=modules)
    outcome = scripts.gpu_steps.gpu_tests(check, True)
    assert (outcome.status, outcome.said) == ("skipped", "not installed: hypothesis, onnx")


def counted(**changes: Any) -> dict[str, Any]:
    row = {"batch": 64, "height": 270, "width": 480, "dtype": "float32", "regions": 0}
    row |= {"fusion": True, "listed": 1, "us": 30.0, "cached_us": 20.0, "bytes": 66355200}
    return row | {"cold": True, "share_of_copy": 0.83} | changes


def made_up_kernels() -> dict[str, Any]:
    compared = {"us": 30.0, "torch_us": 270.0, "ratio": 9.0}
    compared |= {"waited_us": 90.0, "torch_waited_us": 300.0, "waited_ratio": 3.3}
    return {
        "copy": {"bytes": 2**28, "us": 200.0, "gigabytes_per_second": 2684.0},
        "launch": {"empty_waited_us": 6.0, "one_map_waited_us": 17.5},
        "count": [counted(), counted(listed=1024, share_of_copy=0.4, us=60.0)],
        "torch": [counted(regions=8, fusion=False, **compared)],
        "cpu": [counted(us=8000.0)],
        "preprocess": [],
    }


def made_up_pipeline(backend: str = "tensorrt") -> dict[str, Any]:
    way = {"way": "frames on the GPU", "preprocess": 0.05, "infer": 1.0, "postprocess": 0.04}
    way |= {"total": 1.2, "fps": 833.0, "share_of_engine": 0.09}
    row = {"backend": backend, "device": "cuda:0", "on_gpu": True, "engine": 1.0, "count": 70.1}
    backends = [row | {"ways": [way]}]
    return {"model": "edgecount-s", "size": [720, 1280], "backends": backends}


def verdicts(scripts: Any, kernels: Any, pipeline: Any) -> dict[str, str]:
    found = scripts.gpu_goals.goals(kernels, pipeline)
    return {goal.what: goal.verdict or goal.measured for goal in found}


def test_goals_that_are_met(scripts: Any) -> None:
    assert verdicts(scripts, made_up_kernels(), made_up_pipeline()) == {
        "64 maps of 270x480, float32, counts alone": "met",
        "64 maps of 270x480, float32, with the list of peaks on the host": "40%, 60.0 µs",
        "64 maps of 270x480, float32, 8 regions": "met",
        "one map of 270x480, from the call until it is counted": "met",
        "pre + post of edgecount-s at 1280x720, tensorrt, frames on the GPU": "met",
    }


def test_goals_that_are_missed(scripts: Any) -> None:
    kernels, pipeline = made_up_kernels(), made_up_pipeline()
    kernels["count"] = [counted(share_of_copy=0.79)]
    kernels["torch"][0]["ratio"] = 7.9
    kernels["launch"]["one_map_waited_us"] = 18.1
    pipeline["backends"][0]["ways"][0]["share_of_engine"] = 0.21
    assert set(verdicts(scripts, kernels, pipeline).values()) == {"missed"}


def test_what_was_not_measured_is_no_success(scripts: Any) -> None:
    assert set(verdicts(scripts, None, None).values()) == {"not measured"}
    found = verdicts(scripts, None, made_up_pipeline("torch (stand-in)"))
    assert found["pre + post of edgecount-s at 1280x720"] == "not measured"
    kernels = made_up_kernels()
    kernels["count"] = [counted(cold=False)]
    first = scripts.gpu_goals.goals(kernels, None)[0]
    assert (first.measured, first.met) == ("83%, 30.0 µs, partly from the cache", None)


def test_writes_what_it_is_given(scripts: Any, check: Any, tmp_path: Path) -> None:
    (tmp_path / "kernels.json").write_text(json.dumps(made_up_kernels()))
    (tmp_path / "pipeline.json").write_text(json.dumps(made_up_pipeline()))
    outcome = scripts.gpu_steps.Outcome
    outcomes = [
        outcome("build", "passed", seconds=61.2),
        outcome("GPU tests", "failed", "1 failed, 2 passed", 5.0, "pytest", "E   assert 1 == 2"),
        outcome("compute-sanitizer memcheck", "skipped", "compute-sanitizer is not installed"),
        outcome("benchmark kernels", "passed", "measured", skipped=["no | torch", "no | torch"]),
    ]
    report = scripts.gpu_report.Report.read(check, outcomes, "scripts/gpu_check")
    data, text = scripts.gpu_report.write_report(report, tmp_path / "new" / "folder")
    assert data.name == f"nvidia-test-gpu-{report.date}.json"
    found = json.loads(data.read_text(encoding="utf-8"))
    assert found["kernels"] == made_up_kernels()
    assert found["machine"]["gpu"]["capability"] == "8.7"
    assert found["goals"][0]["met"] is True
    assert found["skipped"] == [
        "compute-sanitizer memcheck: compute-sanitizer is not installed",
        "no | torch",
    ]
    page = text.read_text(encoding="utf-8")
    assert page.startswith(f"# NVIDIA Test GPU, {report.date}\n")
    assert "| GPU tests | failed | 5 s | 1 failed, 2 passed |" in page
    assert "E   assert 1 == 2" in page
    assert "| 64 | 270 | 480 | float32 | 0 | yes | 1 | 30 | 20 | 66355200 | 83% |" in page
    assert "| frames on the GPU | 0.05 | 1 | 0.04 | 1.2 | 833 | 9% |" in page
    assert "- no | torch" in page
    assert str(ROOT) not in page + data.read_text(encoding="utf-8")


def test_a_report_of_a_run_that_got_nowhere(scripts: Any, check: Any, tmp_path: Path) -> None:
    check.quick = True
    outcomes = [scripts.gpu_steps.Outcome("build", "failed", "exit code 1", tail="no such flag")]
    report = scripts.gpu_report.Report.read(check, outcomes, "scripts/gpu_check --quick")
    data, text = scripts.gpu_report.write_report(report, tmp_path)
    assert data.stem.endswith("-quick")
    assert "no such flag" in text.read_text(encoding="utf-8")
    assert text.read_text(encoding="utf-8").count("not measured") == 4


def benchmark(name: str) -> list[str]:
    return [sys.executable, str(ROOT / "benchmarks" / f"gpu_{name}.py")]


@pytest.mark.usefixtures("without_gpu")
@pytest.mark.parametrize("name", ["kernels", "pipeline"])
def test_the_benchmarks_without_a_gpu(name: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "EDGECOUNT_EXT"}
    done = run(benchmark(name), environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("no GPU to measure: ")
    done = run([*benchmark(name), "--help"], environment)
    assert done.returncode == 0
    assert "--json FILE" in done.stdout


@pytest.mark.skipif("EDGECOUNT_EXT" not in os.environ, reason="EDGECOUNT_EXT names no extension")
@pytest.mark.parametrize(
    ("name", "arguments"), [("kernels", []), ("pipeline", ["--size", "64x64", "--frames", "2"])]
)
def test_the_benchmarks_write_what_the_report_shows(
    scripts: Any, tmp_path: Path, name: str, arguments: list[str]
) -> None:
    path = tmp_path / "numbers.json"
    done = run([*benchmark(name), *arguments, "--quick", "--json", str(path)])
    assert done.returncode == 0, done.stderr
    numbers, report = json.loads(path.read_text()), scripts.gpu_report
    if name == "pipeline":
        assert numbers["backends"]
        for row in numbers["backends"]:
            assert row["ways"][0].keys() == report.FRAMES.keys()
        assert list(report.pipeline_parts(numbers))
        return
    assert list(report.kernel_parts(numbers))
    for key, columns in {"count": report.COUNTING, "preprocess": report.PREPARING}.items():
        assert columns.keys() <= numbers[key][0].keys()
    assert scripts.gpu_goals.goals(numbers, None)
