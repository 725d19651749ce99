"""SIGTERM and Ctrl-C, sent to a process of its own."""

import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import onnx
import pytest
from graphs import small_model

from edgecount.cli._shell.signals import interrupt_raises, stop_on_interrupt

STAGED = 60  # s to wait for an export to begin


def start_export(tmp_path, *before):
    """Start an export, and wait until its staging folder is there."""
    onnx.save(small_model(), tmp_path / "small.onnx")
    out = tmp_path / "out"
    out.mkdir()
    words = ("export", tmp_path / "small.onnx", "--fp16", "--out", out / "made", "--threads", "1")
    process = subprocess.Popen(
        [*before, sys.executable, "-m", "edgecount", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + STAGED
    while not list(out.iterdir()) and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    return process, out


@pytest.fixture(autouse=True)
def interruptible():
    """Handle Ctrl-C, which children would ignore as their parent does in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# As shells start what runs in the background.
IGNORING = ("sh", "-c", 'trap "" INT; exec "$0" "$@"')


@pytest.mark.parametrize("before", [(), IGNORING])
def test_sigterm_leaves_nothing_behind(tmp_path, before):
    process, out = start_export(tmp_path, *before)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Traceback" not in said
    assert list(out.iterdir()) == []


def test_ctrl_c_has_its_own_code(tmp_path):
    process, out = start_export(tmp_path)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(out.iterdir()) == []


def run_code(code):
    """Run code in a Python process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )


def test_ctrl_c_while_the_command_line_is_loaded_is_quiet():
    """The signal comes where click is imported: the earliest that this package can see."""
    code = (
        "import os, signal, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'click':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "from edgecount.cli import main\n"
        "main(['models'])\n"
    )
    done = run_code(code)
    assert (done.returncode, done.stderr) == (130, "")


# Every so many imports of a run: in click's parsing, NumPy, OpenCV, ONNX Runtime and our own.
@pytest.mark.parametrize("place", [1, 30, 80, 130, 180])
def test_ctrl_c_within_an_import_is_ctrl_c(tmp_path, tiny_model, place):
    """Extensions in C make what is raised while they load a failure of their own."""
    picture = tmp_path / "a.png"
    cv2.imwrite(str(picture), np.zeros((64, 64, 3), np.uint8))
    code = (
        "import os, signal, sys\n"
        "from edgecount.cli import main\n"
        "class Finder:\n"
        f"    left = {place}\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        self.left -= 1\n"
        "        if self.left == 0:\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Finder())\n"
        f"main(['count', {str(picture)!r}, '--model', {str(tiny_model)!r}])\n"
    )
    done = run_code(code)
    assert done.returncode == 130
    assert done.stderr in ("", "edgecount: stopped\n")


def test_ctrl_c_while_the_module_that_knows_the_calls_is_half_imported():
    code = (
        "import os, signal, sys, time, types\n"
        "from edgecount.cli._shell import stuck\n"
        "sys.modules[stuck._CALLS] = types.ModuleType(stuck._CALLS)\n"
        "try:\n"
        "    with stuck.end_stuck_calls():\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    done = run_code(code)
    assert (done.stdout, done.stderr) == ("interrupted\n", "")


def test_ctrl_c_within_an_import_that_never_ends(tmp_path):
    (tmp_path / "endless.py").write_text("import time\ntime.sleep(60)\n")
    code = (
        "import os, signal, sys, threading\n"
        "from edgecount.cli._shell import signals\n"
        "signals.PATIENCE = 0.2\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "with signals.interrupt_on_sigterm(), signals.exit_on_interrupt():\n"
        "    import endless\n"
    )
    done = run_code(code)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_stalled_camera_does_not_keep_a_process_alive(name, code):
    program = (
        "import os, signal, time\n"
        "from edgecount.cli._shell import signals\n"
        "from edgecount.cli._shell.signals import stop_on_interrupt\n"
        "signals.PATIENCE = 0.2\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"  # else it is ignored below nohup
        "with signals.interrupt_on_sigterm(), stop_on_interrupt() as stop:\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        "    print(stop.requested, flush=True)\n"
        "    time.sleep(60)\n"
    )
    done = run_code(program)
    assert (done.returncode, done.stdout, done.stderr) == (code, "True\n", "")


def test_sigterm_that_is_ignored_stays_so():
    code = (
        "import os, signal\n"
        "from edgecount.cli._shell.signals import interrupt_on_sigterm\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "with interrupt_on_sigterm():\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "print('alive')\n"
    )
    done = run_code(code)
    assert done.stdout == "alive\n"


def test_the_first_ctrl_c_raises_nothing_whoever_looks_first():
    before = signal.getsignal(signal.SIGINT)
    with stop_on_interrupt() as stop:
        signal.raise_signal(signal.SIGINT)  # handled before the watcher of stuck calls asks
        assert stop.requested
        assert not interrupt_raises()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupt_raises()
    with stop_on_interrupt() as stop:
        assert not interrupt_raises()  # the watcher asks before the handler runs
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        assert interrupt_raises()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_handlers_are_as_they_were():
    from edgecount.cli import main

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(SystemExit) as ended:
        main(["models"])
    assert ended.value.code == 0
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_forked_worker_ends_as_if_nothing_handled_it():
    code = (
        "import os, signal, time\n"
        "from edgecount.cli._shell.signals import interrupt_on_sigterm\n"
        "ours, theirs = os.pipe()\n"
        "with interrupt_on_sigterm() as termination:\n"
        "    worker = os.fork()\n"
        "    if worker == 0:\n"
        "        os.write(theirs, b'x')\n"
        "        time.sleep(60)\n"
        "        os._exit(0)\n"
        "    os.read(ours, 1)\n"
        "    os.kill(worker, signal.SIGTERM)\n"
        "    print(os.WTERMSIG(os.waitpid(worker, 0)[1]), termination.requested)\n"
    )
    done = run_code(code)
    assert done.stdout.split() == ["15", "False"]


def test_a_timer_of_the_caller_goes_on():
    code = (
        "import signal\n"
        "from edgecount.cli._shell.signals import interrupt_on_sigterm\n"
        "signal.setitimer(signal.ITIMER_REAL, 60)\n"
        "handler = signal.getsignal(signal.SIGALRM)\n"
        "with interrupt_on_sigterm():\n"
        "    print(signal.getsignal(signal.SIGALRM) is handler)\n"
        "print(signal.getitimer(signal.ITIMER_REAL)[0] > 0)\n"
    )
    assert run_code(code).stdout == "True\nTrue\n"
