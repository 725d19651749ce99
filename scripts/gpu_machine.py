"""What there is on a machine that the GPU part needs. Standard library only."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

TOOLS = ("nvcc", "g++", "cmake", "ninja", "compute-sanitizer", "ncu", "nsys")
# Modules by what they are for: what no test can do without, and what those of the CPU need, too.
TEST_MODULES = ("numpy", "pytest", "onnx", "cv2")
KERNEL_TEST_MODULES = (*TEST_MODULES, "hypothesis")
BUILD_MODULES = ("scikit_build_core", "nanobind")
MODULES = (
    *KERNEL_TEST_MODULES,
    *BUILD_MODULES,
    "torch",
    "cupy",
    "numba",
    "pycuda",
    "onnxruntime",
    "tensorrt",
    "tensorrt_rtx",
    "tensorrt_rtx_bindings",
)
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_ASK_MODULES = """
import importlib.metadata, importlib.util, json, sys
owners = importlib.metadata.packages_distributions()
found = {}
for name in sys.argv[1:]:
    if importlib.util.find_spec(name):
        names = owners.get(name) or [name]
        try:
            found[name] = " and ".join(
                f"{owner} {importlib.metadata.version(owner)}" for owner in dict.fromkeys(names)
            )
        except importlib.metadata.PackageNotFoundError:
            found[name] = "without a version"
print(json.dumps([sys.version.split()[0], found]))
"""


class GPU(NamedTuple):
    """The first GPU: name, compute capability ("9.0"), bytes, the driver's CUDA ("13.0")."""

    name: str
    capability: str
    memory: int
    cuda: str

    @property
    def architecture(self) -> str:
        """As nvcc and CMake call it: "90"."""
        return self.capability.replace(".", "")


class Machine(NamedTuple):
    """What was found.

    Attributes:
        gpu: the GPU; None without one.
        no_gpu: why there is none.
        driver: version of the kernel's driver; empty if nobody says.
        tools: path by name, of those that there are.
        python: the interpreter that runs the tests, and its version.
        modules: distribution and version by module, of those that there are.
        system: operating system, processor and cores.
    """

    gpu: GPU | None
    no_gpu: str
    driver: str
    tools: dict[str, str]
    python: tuple[str, str]
    modules: dict[str, str]
    system: str


def look_around(python: str, folders: list[str]) -> Machine:
    """Find out what there is.

    Args:
        python: an interpreter.
        folders: put in front of its search path.
    """
    answer = ask_gpu()
    version, modules = ask_modules(python, folders)
    return Machine(
        gpu=None if isinstance(answer, str) else answer,
        no_gpu=answer if isinstance(answer, str) else "",
        driver=driver_version(),
        tools={name: path for name in TOOLS for path in [find_tool(name)] if path},
        python=(python, version),
        modules=modules,
        system=f"{platform.system()} {platform.release()}, {cpu_name()}, {os.cpu_count()} cores",
    )


def ask_gpu() -> GPU | str:
    """The first `GPU`, or why there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1 is not there)"
    code = cuda.cuInit(0)
    if code:
        return f"the NVIDIA driver does not start (error {code}): look at nvidia-smi"
    number, device, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    cuda.cuDeviceGetCount(ctypes.byref(number))
    if number.value < 1:
        return "the NVIDIA driver shows no GPU: look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    toolkit = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return GPU(name.value.decode(), f"{major.value}.{minor.value}", memory.value, toolkit)


def ask_modules(python: str, folders: list[str]) -> tuple[str, dict[str, str]]:
    """The version of an interpreter, and which modules it finds.

    Raises:
        OSError: it does not start, or is too old to say.
    """
    done = subprocess.run(
        [python, "-c", _ASK_MODULES, *MODULES],
        capture_output=True,
        env=with_path(folders),
        cwd=os.sep,
        check=False,
    )
    if done.returncode:
        why = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise OSError(f"{python} cannot be used, Python 3.10 or newer is needed: {why}")
    version, modules = json.loads(done.stdout)
    return version, modules


def with_path(folders: list[str]) -> dict[str, str]:
    """This process's environment with folders in front of Python's search path."""
    before = [path for path in [os.environ.get("PYTHONPATH")] if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, *before])}


def find_tool(name: str) -> str:
    """The path of a program, also where CUDA's are not on the PATH; empty without one."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(toolkit_folders())) or ""


def toolkit_folders() -> list[str]:
    """Where CUDA's programs may be: in the toolkit that was named, nvcc's own, the newest."""
    nvcc = shutil.which("nvcc")
    homes = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", "")]
    homes += [str(Path(nvcc).resolve().parent.parent)] if nvcc else []
    numbered = Path("/usr/local").glob("cuda-*")
    newest = sorted(numbered, key=lambda path: [int(n) for n in re.findall(r"\d+", path.name)])
    homes += ["/usr/local/cuda", *(str(path) for path in reversed(newest))]
    inside = ("bin", "compute-sanitizer")
    return [str(Path(home, folder)) for home in homes if home for folder in inside]


def driver_version() -> str:
    """Such as 580.65.06; empty if the kernel does not say."""
    try:
        words = Path("/proc/driver/nvidia/version").read_text().split("\n", maxsplit=1)[0].split()
    except OSError:
        return smi_version()
    return next((word for word in words if word[0].isdigit() and "." in word), "")


def smi_version() -> str:
    """The same by nvidia-smi, where there is one."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return ""
    query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, check=False, timeout=20)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.decode().split("\n")[0].strip() if done.returncode == 0 else ""


def cpu_name() -> str:
    """The processor's name, or at least its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
