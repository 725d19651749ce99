"""`doctor` on the files of Jetson boards, which tests lay out under a root."""

from __future__ import annotations

import shutil
import subprocess
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

from edgecount.cli._doctor import backends, engines, jetson, memory, tensorrt, toolkit
from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.commands import Answer
from edgecount.cli._doctor.run import run_checks
from edgecount.cli._doctor.tensorrt import Module, Modules
from edgecount.runtime.cuda.driver import Device, Driver

JETSON_NAMES = [
    "python",
    "system",
    "cpu",
    "board",
    "power",
    "memory",
    "edgecount",
    "gpu",
    "cuda",
    "onnxruntime",
    "openvino",
    "tensorrt",
    "backends",
    "opencv",
    "pyav",
    "counting",
]
NOTHING = Modules(None, None)
ORIN_MODES = {0: "MAXN", 1: "15W", 2: "30W", 3: "50W"}
NANO_MODES = {0: "15W", 1: "25W", 2: "MAXN_SUPER"}
THOR_MODES = {0: "MAXN", 1: "120W"}


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def nvpmodel(modes: dict[int, str], default: int) -> str:
    blocks = [
        f"< POWER_MODEL ID={n} NAME={name} >\nCPU_ONLINE CORE_0 1" for n, name in modes.items()
    ]
    comment = "# < POWER_MODEL ID=id_num NAME=mode_name >"
    return "\n".join([comment, *blocks, f"< PM_CONFIG DEFAULT={default} >", ""])


def dpkg(version: str) -> str:
    return textwrap.dedent(f"""\
        Package: libc6
        Status: install ok installed
        Version: 2.35-0ubuntu3

        Package: nvidia-jetpack
        Status: install ok installed
        Priority: standard
        Version: {version}

        Package: zlib1g
        Version: 1
        """)


def board_files(model: str, chip: str, release: str) -> dict[str, str]:
    return {
        "proc/device-tree/model": f"{model}\0",
        "proc/device-tree/compatible": f"nvidia,p0000-0000\0nvidia,{chip}\0",
        "etc/nv_tegra_release": f"# {release}, GCID: 1, BOARD: generic, EABI: aarch64\n"
        "# KERNEL_VARIANT: oot\nTARGET_USERSPACE_LIB_DIR=nvidia\n",
    }


@pytest.fixture
def agx_orin(tmp_path):
    """JetPack 6.2 with all of it installed, clocks fixed."""
    release = "R36 (release), REVISION: 4.3"
    model = "NVIDIA Jetson AGX Orin Developer Kit"
    devfreq = "sys/class/devfreq/17000000.gpu"
    return write(
        tmp_path,
        board_files(model, "tegra234", release)
        | {
            "var/lib/dpkg/status": dpkg("6.2+b77"),
            "etc/nvpmodel.conf": nvpmodel(ORIN_MODES, 2),
            "var/lib/nvpmodel/status": "pmode:0000\n",
            f"{devfreq}/min_freq": "1300500000\n",
            f"{devfreq}/max_freq": "1300500000\n",
            "sys/class/devfreq/60000000.nvenc/min_freq": "1\n",
            "proc/meminfo": "MemTotal: 64349512 kB\nMemAvailable: 60000000 kB\nSwapTotal: 0 kB\n",
            "proc/swaps": "Filename Type Size Used Priority\n",
            "usr/local/cuda/bin/nvcc": "",
            "usr/local/cuda/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.6.11"}}',
            "usr/lib/aarch64-linux-gnu/libcudnn.so.9": "",
            "usr/lib/aarch64-linux-gnu/libcudnn.so.9.3.0": "",
            "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
            "usr/lib/python3.10/dist-packages/tensorrt/__init__.py": "",
        },
    )


@pytest.fixture
def orin_nano(tmp_path):
    """JetPack 6.2.1 without the JetPack packages, little memory left."""
    release = "R36 (release), REVISION: 4.4"
    devfreq = "sys/class/devfreq/17000000.gpu"
    return write(
        tmp_path,
        board_files("NVIDIA Jetson Orin Nano Developer Kit", "tegra234", release)
        | {
            "etc/nvpmodel.conf": nvpmodel(NANO_MODES, 1),
            "var/lib/nvpmodel/status": "pmode:0001\n",
            f"{devfreq}/min_freq": "306000000\n",
            f"{devfreq}/max_freq": "918000000\n",
            "proc/meminfo": "MemTotal: 7802416 kB\nMemAvailable: 1310720 kB\n"
            "SwapTotal: 3901200 kB\n",
            "proc/swaps": "Filename Type Size Used Priority\n/dev/zram0 partition 3901200 0 5\n",
        },
    )


@pytest.fixture
def thor(tmp_path):
    release = "R38 (release), REVISION: 2.0"
    devfreq = "sys/class/devfreq/gpu-gpc-0"
    return write(
        tmp_path,
        board_files("NVIDIA Jetson AGX Thor Developer Kit", "tegra264", release)
        | {
            "var/lib/dpkg/status": dpkg("7.0-b128"),
            "etc/nvpmodel.conf": nvpmodel(THOR_MODES, 1),
            f"{devfreq}/min_freq": "315000000\n",
            f"{devfreq}/max_freq": "1575000000\n",
        },
    )


def test_a_jetson_has_its_own_checks(monkeypatch, tiny_model, orin_nano):
    monkeypatch.setattr(engines, "has_gpu", lambda: False)
    monkeypatch.setattr(backends, "has_gpu", lambda: False)
    checks = run_checks(str(tiny_model), orin_nano)
    assert [check.name for check in checks] == JETSON_NAMES
    assert not [check for check in checks if check.status == "fail"]


def test_agx_orin(agx_orin):
    assert jetson.board(agx_orin) == Check(
        "board", "ok", "NVIDIA Jetson AGX Orin Developer Kit, JetPack 6.2 (L4T 36.4.3)"
    )
    assert jetson.power(agx_orin) == Check(
        "power", "ok", "MAXN (mode 0), GPU clock fixed at 1300 MHz"
    )
    found = memory.memory(agx_orin)
    assert found == Check("memory", "ok", "61.4 GiB for CPU and GPU, 57.2 free, no swap")
    nvcc = agx_orin / "usr/local/cuda"
    assert toolkit.cuda(agx_orin).found == f"toolkit 12.6.11 in {nvcc}, cuDNN 9.3.0"


def test_orin_nano(orin_nano):
    assert jetson.board(orin_nano).found.endswith("JetPack 6.2.1 (L4T 36.4.4)")
    power = jetson.power(orin_nano)
    assert power.found == "25W (mode 1), GPU clock 306 to 918 MHz by load"
    assert power.advice == "MAXN_SUPER is faster:  sudo nvpmodel -m 2 && sudo jetson_clocks"
    found = memory.memory(orin_nano)
    assert found.found == "7.4 GiB for CPU and GPU, 1.2 free, swap 3.7 zram (0.0 used)"
    assert found.status == "warn"
    assert toolkit.cuda(orin_nano).found == "no toolkit"


def test_thor_whose_mode_only_its_tool_knows(thor):
    def ask(*command, **_):
        assert command == ("nvpmodel", "-q")
        return Answer(True, "NV Power Mode: MAXN\n0")

    assert jetson.board(thor).found.endswith("Thor Developer Kit, JetPack 7.0 (L4T 38.2.0)")
    power = jetson.power(thor, ask)
    assert power.found == "MAXN (mode 0), GPU clock 315 to 1575 MHz by load"
    assert power.advice.endswith("sudo jetson_clocks")
    refused = jetson.power(thor, lambda *_, **__: Answer(False, "Permission denied"))
    assert refused.found.startswith("mode not known")


@pytest.mark.parametrize(
    ("release", "status", "words"),
    [
        ("R36 (release), REVISION: 3.0", "ok", "JetPack 6.0 (L4T 36.3.0)"),
        ("R36 (release), REVISION: 4.7", "ok", "JetPack 6.2.1 (L4T 36.4.7)"),
        ("R38 (release), REVISION: 4.0", "ok", "JetPack 7.1"),
        ("R39 (release), REVISION: 2.0", "ok", "JetPack 7.2 (L4T 39.2.0)"),
        ("R39 (release), REVISION: 9.0", "ok", "JetPack 7.2.1 or newer"),
        ("R35 (release), REVISION: 4.1", "warn", "JetPack 5"),
        ("R32 (release), REVISION: 7.1", "warn", "JetPack 4 or older"),
        ("gibberish", "warn", "not understood"),
    ],
)
def test_releases(tmp_path, release, status, words):
    write(tmp_path, board_files("NVIDIA Jetson", "tegra234", release))
    check = jetson.board(tmp_path)
    assert check.status == status
    assert check.found.startswith("NVIDIA Jetson, ")
    assert words in check.found


def test_a_jetson_in_a_container(monkeypatch, tmp_path):
    """The device tree is the host's, all else is the image's."""
    files = board_files("NVIDIA Jetson Orin NX", "tegra234", "")
    del files["etc/nv_tegra_release"]
    write(tmp_path, files)
    assert jetson.board(tmp_path).found.startswith("NVIDIA Jetson Orin NX, seen from a container")
    monkeypatch.setattr(engines, "ask_driver", lambda: "no NVIDIA driver")
    assert engines.gpu(tmp_path).advice.endswith("--runtime nvidia")


def test_a_machine_that_is_no_jetson(tmp_path):
    assert jetson.board(tmp_path) == Check("board", "ok", "not a Jetson")


@pytest.fixture
def python(monkeypatch):
    """Set the prefix and the version of the virtual environment that runs."""

    def pretend(prefix, version):
        here = SimpleNamespace(prefix=str(prefix), base_prefix="/usr", version_info=version)
        monkeypatch.setattr(tensorrt, "sys", here)

    return pretend


def test_apt_s_tensorrt_outside_of_the_environment(agx_orin, tmp_path, python):
    python(tmp_path / "venv", (3, 10))
    write(tmp_path, {"venv/pyvenv.cfg": "include-system-site-packages = false\n"})
    check = tensorrt.tensorrt(agx_orin, NOTHING)
    folder = agx_orin / "usr/lib/python3.10/dist-packages"
    assert check.status == "warn"
    assert check.found == f"installed in {folder}, which this environment does not see"
    assert f"in {tmp_path / 'venv/pyvenv.cfg'}" in check.advice
    assert "--system-site-packages" in check.advice


def test_apt_s_tensorrt_is_for_another_python(agx_orin, tmp_path, python):
    python(tmp_path, (3, 12))
    check = tensorrt.tensorrt(agx_orin, NOTHING)
    assert "is for Python 3.10" in check.found
    assert "/usr/bin/python3" in check.advice


def test_the_library_without_its_python_module(thor, tmp_path):
    """A real library is loaded, by another process."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    source = tmp_path / "nvinfer.c"
    source.write_text("int getInferLibVersion(void) { return 101303; }\n")
    library = thor / "usr/lib/aarch64-linux-gnu/libnvinfer.so.10"
    library.parent.mkdir(parents=True)
    subprocess.run([compiler, "-shared", "-o", library, source], check=True)
    check = tensorrt.tensorrt(thor, NOTHING)
    assert "libnvinfer 10.13.3" in check.found
    assert check.advice.startswith("run  sudo apt install python3-libnvinfer")
    source.write_text(
        "void stop(void) __attribute__((constructor)); void stop(void) { *(char *)0 = 0; }"
    )
    subprocess.run([compiler, "-shared", "-o", library, source], check=True)
    assert "signal" in tensorrt.tensorrt(thor, NOTHING).found


def test_tensorrt_that_is_not_there(orin_nano, tmp_path):
    assert "apt install tensorrt" in tensorrt.tensorrt(orin_nano, NOTHING).advice
    pc = tmp_path / "pc"
    assert tensorrt.tensorrt(pc, NOTHING) == Check("tensorrt", "ok", "not installed")


def test_modules_are_tried_by_another_process(monkeypatch, tmp_path):
    write(
        tmp_path,
        {
            "site/tensorrt/__init__.py": "__version__ = '10.3.0'\n",
            "site/tensorrt_rtx/__init__.py": "raise ImportError('libnvinfer.so.10: missing')\n",
        },
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    found = tensorrt.find_modules()
    assert found.tensorrt == Module("tensorrt", True, "10.3.0", tmp_path / "site")
    assert found.rtx is not None
    assert not found.rtx.works
    check = tensorrt.tensorrt(tmp_path, found)
    assert check.status == "warn"
    assert "ImportError: libnvinfer.so.10: missing" in check.found
    assert tensorrt.tensorrt(tmp_path, found._replace(rtx=None)).status == "ok"


CPU = engines.Runtime("1.20", ("CPU",))
WORKING = Module("tensorrt", True, "10.3.0", Path("/usr/lib/python3.10/dist-packages"))


class FakeExtension:
    cuda_built = True
    cuda_architectures = "87-real 87-virtual"

    @staticmethod
    def cuda_device_count():
        return 1


@pytest.fixture
def gpu_machine(monkeypatch):
    """Show the GPU of a Jetson, with an edgecount that sees it."""
    monkeypatch.setattr(backends, "has_gpu", lambda: True)
    monkeypatch.setattr(engines, "has_gpu", lambda: True)
    extension = FakeExtension()
    monkeypatch.setattr("edgecount._ext", extension)
    return extension


def test_backends_of_a_jetson(gpu_machine, agx_orin):
    check = backends.backends(agx_orin, Modules(WORKING, None), CPU)
    assert check.status == "ok"
    assert check.found.startswith("tensorrt; not onnxruntime-cuda (")
    check = backends.backends(agx_orin, NOTHING, CPU)
    assert check.status == "warn"
    assert check.advice == "see tensorrt above"


def test_backends_of_a_pc(gpu_machine, tmp_path):
    check = backends.backends(tmp_path, NOTHING, CPU)
    assert check.status == "warn"
    assert check.advice.splitlines() == [
        "for tensorrt:  pip install tensorrt",
        'for tensorrt-rtx:  pip install "edgecount[rtx]"',
        'for onnxruntime-cuda:  pip uninstall onnxruntime  and  pip install "edgecount[gpu]"',
    ]
    both = engines.Runtime("1.20", ("CUDA", "CPU"))
    found = backends.backends(tmp_path, NOTHING, both).found
    assert found.startswith("onnxruntime-cuda; not tensorrt (")
    broken = both._replace(cuda_problem="cuDNN is missing")
    check = backends.backends(tmp_path, NOTHING, broken)
    assert check.status == "warn"
    assert "onnxruntime-cuda (cuDNN is missing)" in check.found
    assert "CUDA and cuDNN of the versions that it was built for" in check.advice


def test_kernels_that_were_built_for_another_gpu(gpu_machine, agx_orin, monkeypatch):
    gpu_machine.cuda_architectures = "110-real 110-virtual"
    orin = Driver("12.6", [Device("Orin", "8.7", 2**35, 16)])
    monkeypatch.setattr(engines, "ask_driver", lambda: orin)
    check = engines.package(agx_orin)
    assert check.status == "warn"
    assert check.found.endswith("built for GPUs of compute capability 11.0, and Orin has 8.7")
    assert "CUDAARCHS=87 " in check.advice
    found = backends.backends(agx_orin, Modules(WORKING, None), CPU).found
    assert "tensorrt (edgecount is built for other GPUs)" in found


def test_kernels_without_cuda_on_a_board_with_nvcc(gpu_machine, agx_orin):
    gpu_machine.cuda_built = False
    check = engines.package(agx_orin)
    assert check.status == "warn"
    nvcc = agx_orin / "usr/local/cuda/bin/nvcc"
    assert f'CUDACXX={nvcc} CMAKE_ARGS="-DEDGECOUNT_CUDA=ON" pip install' in check.advice
    ways = backends.backends(agx_orin, Modules(WORKING, None), CPU)
    assert "tensorrt (edgecount is built without CUDA)" in ways.found


def test_kernels_without_cuda_on_a_board_without_nvcc(gpu_machine, orin_nano):
    gpu_machine.cuda_built = False
    assert "nvidia-jetpack" in engines.package(orin_nano).advice


def test_kernels_that_do_not_see_the_gpu(gpu_machine, monkeypatch, tmp_path):
    monkeypatch.setattr(gpu_machine, "cuda_device_count", lambda: 0)
    monkeypatch.setattr(engines, "ask_driver", lambda: "none")
    assert engines.package(tmp_path).status == "warn"


def test_nvcc_that_has_no_json(tmp_path):
    write(tmp_path, {"usr/local/cuda/bin/nvcc": ""})
    text = "Cuda compilation tools, release 13.0, V13.0.88\nBuild cuda_13.0"
    check = toolkit.cuda(tmp_path, lambda *_, **__: Answer(True, text))
    assert check.found == f"toolkit 13.0.88 in {tmp_path / 'usr/local/cuda'}"
