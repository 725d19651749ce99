"""The machines that a plan loads on, by NVIDIA's rules, and why one does not load here.

The rules and where NVIDIA gives them, as of November 2026:

- Without flags a plan needs the TensorRT that built it, to the last number. A version-compatible
  one also loads on newer releases of its major version, one of TensorRT 8 on 10, and one of 10 on
  11; on no other (support matrix of TensorRT 11.4.1, "Engine Portability").
- A plan belongs to an operating system and a CPU architecture ("Engine Compatibility" of TensorRT
  11; support matrix, as above).
- A plan needs a GPU of the same compute capability, and where the number of processors or other
  properties differ TensorRT warns. A hardware-compatible one loads on Ampere (8.0) and everything
  newer, and neither on nor from JetPack and DRIVE OS (Developer Guide of TensorRT 8.6, "Hardware
  Compatibility"; `HardwareCompatibilityLevel.AMPERE_PLUS` in the bindings). From Turing (7.5) on
  one can be built for all GPUs of its own capability (`SAME_COMPUTE_CAPABILITY`).
- TensorRT for RTX: each release takes its own engines alone ("Engine Compatibility" of
  TensorRT-RTX), on Windows and Linux alike. By default an engine is for 8.0, 8.6, 8.9, 12.0 and
  later ("CPU-Only AOT and TensorRT-RTX Engines"); 8.7, 9.0, 10.0, 10.3 and 11.0 are no targets of
  its builder. The masks in the headers of plans that 1.7.1 built agree.
"""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from edgecount.runtime.models.sidecar import EngineSidecar

if TYPE_CHECKING:
    from edgecount.runtime.cuda.driver import Device, Driver

JETSON = ("5.3", "6.2", "7.2", "8.7", "10.1", "11.0")
"""Compute capabilities of Jetson's and DRIVE's own GPUs, which are on no card."""

AMPERE = "8.0"
OLDEST = {"hardware_compatible": AMPERE, "same_capability": "7.5"}
"""Options of a build for other GPUs than the one that is there, and the oldest GPUs with them."""

_RTX_DEFAULT = ("8.0", "8.6", "8.9", "12.0+")
_NEXT_MAJOR = {8: 10, 10: 11}  # whose runtimes load version-compatible plans of the one before
_MACHINES = {"amd64": "x86-64", "x86_64": "x86-64", "arm64": "aarch64"}

_Difference = tuple[str, str, str]


def mismatches(sidecar: EngineSidecar, version: str, driver: Driver, device: int = 0) -> list[str]:
    """Return why an engine cannot be trusted to run on a machine; empty if it can.

    Each line names what was built and what is here.

    Args:
        sidecar: the engine's sidecar.
        version: full version of the engine's library there.
        driver: the driver there, with the GPUs.
        device: number of the GPU that is to run it.
    """
    gpu = driver.devices[device]
    return [
        f"{what}: the engine was built {built}, here is {found}"
        for what, built, found in (
            *_library(sidecar, version),
            *_platform(sidecar, gpu),
            *_gpu(sidecar, gpu),
            *_driver(sidecar, driver),
        )
    ]


def platform_of(gpu: Device) -> str:
    """Return the platform of a GPU of this machine: "jetson", "linux-x86-64", "linux-aarch64", ...

    A Jetson is known by its GPU, which containers cannot hide.
    """
    if gpu.capability in JETSON:
        return "jetson"
    machine = platform.machine().lower()
    return f"{platform.system().lower()}-{_MACHINES.get(machine, machine)}"


def builds_for_others(capability: str, option: str) -> bool:
    """Return whether TensorRT builds plans for other GPUs on one, by an option of `OLDEST`."""
    return capability not in JETSON and not _older(capability, OLDEST[option])


def open_ended(capabilities: list[str]) -> tuple[str, ...]:
    """Return the GPUs of a default engine of TensorRT for RTX, given what its builder offers.

    They are those from Ampere on, and what is newer than the last: ("8.0", "8.6", "12.1+").
    """
    *between, last = sorted((c for c in capabilities if not _older(c, AMPERE)), key=_numbers)
    return (*between, f"{last}+")


def is_open_ended(sidecar: EngineSidecar) -> bool:
    """Return whether an engine is for GPUs to come, and not for those alone that it names."""
    return any(one.endswith("+") for one in sidecar.compute_capabilities)


def covers(sidecar: EngineSidecar, capability: str) -> bool:
    """Return whether an engine has code for GPUs of a compute capability."""
    return any(
        capability == one or (one.endswith("+") and not _older(capability, one[:-1]))
        for one in _targets(sidecar)
    ) and not (_is_hardware_compatible(sidecar) and capability in JETSON)


def _library(sidecar: EngineSidecar, version: str) -> list[_Difference]:
    built, here = _numbers(sidecar.version), _numbers(version)
    if sidecar.version == version:
        return []
    if not sidecar.options.get("version_compatible") or not built or not here:
        return [(f"{sidecar.backend} version", f"by {sidecar.version}", version)]
    after = _NEXT_MAJOR.get(built[0])
    if (here[0] == built[0] and here >= built) or here[0] == after:
        return []
    majors = f"{built[0]}" if after is None else f"{built[0]} and for {after}"
    need = f"by {sidecar.version} for newer versions of {majors}"
    return [(f"{sidecar.backend} version", need, version)]


def _platform(sidecar: EngineSidecar, gpu: Device) -> list[_Difference]:
    here = platform_of(gpu)
    if sidecar.platform in (None, here):
        return []
    return [("platform", f"on {sidecar.platform}", here)]


def _gpu(sidecar: EngineSidecar, gpu: Device) -> list[_Difference]:
    # Whatever the rules say of Jetsons: this is the kind of GPU that it was built on.
    built_here = _is_hardware_compatible(sidecar) and sidecar.device == gpu.kind
    if not built_here and not covers(sidecar, gpu.capability):
        wanted = ", ".join(_targets(sidecar))
        if _is_hardware_compatible(sidecar):
            wanted += " and no Jetson"
        built = f"for {wanted}" + (f" ({sidecar.device})" if sidecar.device else "")
        return [("compute capability", built, f"{gpu.capability} ({gpu.kind})")]
    # RTX engines are compiled for the GPU that loads them.
    portable = (
        sidecar.backend == "tensorrt-rtx"
        or is_open_ended(sidecar)
        or bool(sidecar.options.get("same_capability"))
    )
    if portable or sidecar.device in (None, gpu.kind):
        return []
    # Tactics were chosen for that GPU's number of processors and amount of memory.
    return [("GPU", f"on {sidecar.device}", gpu.kind)]


def _driver(sidecar: EngineSidecar, driver: Driver) -> list[_Difference]:
    if sidecar.driver and _older(driver.cuda, sidecar.driver):
        return [("driver", f"with one for CUDA {sidecar.driver}", f"CUDA {driver.cuda}")]
    return []


def _targets(sidecar: EngineSidecar) -> tuple[str, ...]:
    # Sidecars of edgecount before platforms say so of default engines of RTX.
    if sidecar.backend == "tensorrt-rtx" and "8.0+" in sidecar.compute_capabilities:
        return _RTX_DEFAULT
    return sidecar.compute_capabilities


def _is_hardware_compatible(sidecar: EngineSidecar) -> bool:
    return sidecar.backend == "tensorrt" and is_open_ended(sidecar)


def _older(version: str, other: str) -> bool:
    return _numbers(version) < _numbers(other)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version such as "10.14.1.48.post1"."""
    numbers: list[int] = []
    for part in version.split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)
