"""TensorRT's Python module and library, and why Python does not find them."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from edgecount.cli._doctor.check import Check
from edgecount.cli._doctor.commands import SECONDS_TO_LOAD, Ask, ask
from edgecount.cli._doctor.files import dotted, libraries
from edgecount.cli._doctor.jetson import is_jetson

_RTX = ("tensorrt_rtx", "tensorrt_rtx_bindings")
_APT = "sudo apt install python3-libnvinfer"
_NEW_ENVIRONMENT = "/usr/bin/python3 -m venv --system-site-packages ENV"


class Module(NamedTuple):
    """A Python module that another process has tried to import.

    Attributes:
        name: name of the module, such as "tensorrt".
        works: whether it loads.
        text: the module's version, or the reason why it does not load.
        folder: folder that the module lies in.
    """

    name: str
    works: bool
    text: str
    folder: Path


class Modules(NamedTuple):
    """TensorRT and TensorRT for RTX; None if not installed."""

    tensorrt: Module | None
    rtx: Module | None


def find_modules(ask: Ask = ask) -> Modules:
    """Find the modules that are installed for this Python, and try to load them."""
    return Modules(_try(("tensorrt",), ask), _try(_RTX, ask))


def _try(names: tuple[str, ...], ask: Ask) -> Module | None:
    """Import the first module that is installed, in another process, since it may crash."""
    for name in names:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            continue
        code = f"import {name}; print({name}.__version__)"
        answer = ask(sys.executable, "-c", code, timeout=SECONDS_TO_LOAD)
        return Module(name, answer.ok, answer.text, Path(spec.origin).parents[1])
    return None


def tensorrt(root: Path, modules: Modules, ask: Ask = ask) -> Check:
    """List the modules that are there, or say what keeps Python from finding one."""
    there = [module for module in modules if module is not None]
    for module in there:
        if not module.works:
            found = f"{module.name} in {module.folder}: {module.text}"
            return Check("tensorrt", "warn", found, _advice_for(module))
    found = ", ".join(f"{module.name} {module.text} in {module.folder}" for module in there)
    if modules.tensorrt is not None or (modules.rtx is not None and not is_jetson(root)):
        return Check("tensorrt", "ok", found)
    missing = _why_missing(root, ask)
    return (
        Check("tensorrt", "warn", *missing) if missing else Check("tensorrt", "ok", "not installed")
    )


def _advice_for(module: Module) -> str:
    if "libnvdla_compiler" in module.text:
        return (
            "in a container the board's own libraries come by  docker run --runtime nvidia ; an "
            "image for JetPack 6 does not find them on JetPack 7"
        )
    if "libnvinfer" in module.text or "cannot open shared object" in module.text:
        return (
            "its libraries are missing: install it anew, on a Jetson by  sudo apt install tensorrt"
        )
    return "install it anew; on a Jetson take apt's:  " + _APT


def _why_missing(root: Path, ask: Ask) -> tuple[str, str] | None:
    """Say why Python does not find TensorRT, and what to do; None if it is not installed."""
    packages = sorted(root.glob("usr/lib/python3*/dist-packages/tensorrt"))
    if packages:
        folder, settings = packages[-1].parent, Path(sys.prefix, "pyvenv.cfg")
        advice = f"take the system's Python:  {_NEW_ENVIRONMENT}"
        version = ".".join(map(str, sys.version_info[:2]))
        match = re.fullmatch(r"python(3\.\d+)", folder.parent.name)
        if match and match[1] != version:
            return f"apt's is for Python {match[1]} ({folder}), and this is {version}", advice
        if sys.prefix != sys.base_prefix and settings.is_file():
            advice = (
                f"set  include-system-site-packages = true  in {settings}, or make the "
                f"environment anew:  {_NEW_ENVIRONMENT}"
            )
        return f"installed in {folder}, which this environment does not see", advice
    found = libraries(root, "libnvinfer")
    if found:
        reason = f"the library is there ({_library(found[-1], ask)}), its Python module is not"
        return reason, f"run  {_APT} , in an environment made by  {_NEW_ENVIRONMENT}"
    if is_jetson(root):
        return "not installed", f"run  sudo apt install tensorrt  and  {_APT}"
    return None


def _library(path: Path, ask: Ask) -> str:
    """Ask the library for its version, in another process, since it may crash."""
    code = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).getInferLibVersion())"
    answer = ask(sys.executable, "-c", code, path, timeout=SECONDS_TO_LOAD)
    if not answer.ok or not answer.text.isdigit():
        return f"{path.name}, which does not load: {answer.text}"
    number = int(answer.text)
    # 10.3.0 is 100300; until TensorRT 8 the major version was multiplied by 1000.
    unit = 10000 if number >= 100000 else 1000
    return f"libnvinfer {dotted((number // unit, number % unit // 100, number % 100))}"
