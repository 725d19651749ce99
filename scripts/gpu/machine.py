"""The parts of a machine that the GPU checks need. Standard library only."""

from __future__ import annotations

import contextlib
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
# Modules that no test can do without, those of the CPU's kernels, and those that build.
TEST_MODULES = ("numpy", "pytest", "onnx", "cv2")
KERNEL_TEST_MODULES = (*TEST_MODULES, "hypothesis")
BUILD_MODULES = ("scikit_build_core", "nanobind")
OTHER_MODULES = "torch cupy numba pycuda onnxruntime tensorrt tensorrt_rtx tensorrt_rtx_bindings"
_VERSION = r"\d+\.\d[\d.]*"  # of a driver, such as "580.65.06"
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


class Machine(NamedTuple):
    """A machine, as far as the checks depend on it."""

    gpu: GPU | None
    no_gpu: str  # why there is none
    driver: str  # version of the kernel's driver; empty if nothing reports it
    tools: dict[str, str]  # path by name of the programs that are installed
    python: tuple[str, str]  # the interpreter that runs the tests, and its version
    modules: dict[str, str]  # distribution and version by module of the installed packages
    system: str  # operating system, processor and cores

    def describe(self) -> list[list[str]]:
        """Return a row for each part: its name and what is there."""
        gpu = self.gpu or GPU("no GPU", "-", 0, "-")
        memory = f"{gpu.memory / 2**30:.0f} GiB"
        return [
            ["GPU", f"{gpu.name}, compute capability {gpu.capability}, {memory}"],
            ["driver", f"{self.driver or 'unknown'}, for CUDA {gpu.cuda}"],
            ["system", self.system],
            ["Python", self.python[1]],
            ["packages", ", ".join(self.modules.values())],
            ["tools", ", ".join(self.tools)],
        ]


def look_around(python: str, folders: list[str]) -> Machine:
    """Find out what is on this machine, for an interpreter that searches `folders` first.

    Raises:
        OSError: the interpreter does not start, or is too old.
    """
    modules = (*KERNEL_TEST_MODULES, *BUILD_MODULES, *OTHER_MODULES.split())
    command = [python, "-c", _ASK_MODULES, *modules]
    done = subprocess.run(
        command, capture_output=True, env=with_path(folders), cwd=os.sep, check=False
    )
    if done.returncode:
        why = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        raise OSError(f"{python} cannot be used, Python 3.10 or newer is needed: {why}")
    version, found = json.loads(done.stdout)
    answer = ask_gpu()
    processor = found_in(r"model name\s*: (.*)", "/proc/cpuinfo") or platform.machine()
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return Machine(
        gpu=None if isinstance(answer, str) else answer,
        no_gpu=answer if isinstance(answer, str) else "",
        driver=found_in(_VERSION, "/proc/driver/nvidia/version") or found_in(_VERSION, query),
        tools={name: path for name in TOOLS if (path := find_tool(name))},
        python=(python, version),
        modules=found,
        system=f"{platform.system()} {platform.release()}, {processor}, {os.cpu_count()} cores",
    )


def ask_gpu() -> GPU | str:
    """Return the first `GPU`, or why there is none."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1 is not there)"
    code = cuda.cuInit(0)
    if code:
        return f"the NVIDIA driver does not start (error {code}): look at nvidia-smi"
    number, device, version, major, minor = (ctypes.c_int() for _ in range(5))
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    cuda.cuDeviceGetCount(ctypes.byref(number))
    if number.value < 1:
        return "the NVIDIA driver shows no GPU: look at nvidia-smi and at CUDA_VISIBLE_DEVICES"
    cuda.cuDriverGetVersion(ctypes.byref(version))
    cuda.cuDeviceGet(ctypes.byref(device), 0)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    toolkit = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return GPU(name.value.decode(), f"{major.value}.{minor.value}", memory.value, toolkit)


def with_path(folders: list[str]) -> dict[str, str]:
    """Return this process's environment with folders in front of Python's search path."""
    before = [path for path in [os.environ.get("PYTHONPATH")] if path]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([*folders, *before])}


def find_tool(name: str) -> str:
    """Return the path of a program, also where CUDA's are not on the PATH; "" without one."""
    nvcc = shutil.which("nvcc")
    # The toolkit that was named comes first, then nvcc's own, then the newest.
    homes = [os.environ.get("CUDA_HOME", ""), os.environ.get("CUDA_PATH", "")]
    homes += [str(Path(nvcc).resolve().parent.parent)] if nvcc else []
    numbered = [str(path) for path in Path("/usr/local").glob("cuda-*")]
    newest = sorted(numbered, key=lambda path: [int(n) for n in re.findall(r"\d+", path)])
    homes += ["/usr/local/cuda", *reversed(newest)]
    inside = [f"{home}/{folder}" for home in homes if home for folder in ("bin", name)]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(inside)) or ""


def found_in(pattern: str, source: str | list[str]) -> str:
    """Return what a pattern finds first in a file, or in a command's output; "" without either."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if isinstance(source, str):
            text = Path(source).read_text()
        else:
            text = subprocess.check_output(source, timeout=20, text=True)
        return next(iter(re.findall(pattern, text)), "")
    return ""
