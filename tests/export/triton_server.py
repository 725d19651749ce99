"""A real Triton Inference Server for tests: where it is, what it needs, and its life."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SECONDS = 60  # for a server that starts
STAND_IN = Path(__file__).resolve().parent / "triton_onnxruntime.py"


@dataclass(frozen=True)
class Installed:
    """A server.

    Attributes:
        binary: the program.
        libraries: that it is linked with; None: the system's.
        backends: that it comes with.
        stub: what its python backend runs beside it; None: it lies with that backend.
    """

    binary: Path
    libraries: Path | None
    backends: Path
    stub: Path | None

    @property
    def environment(self) -> dict[str, str]:
        """The stub embeds Python, and finds its packages by the interpreter on the PATH."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        libraries = [str(self.libraries or ""), os.environ.get("LD_LIBRARY_PATH", "")]
        return {**os.environ, "PATH": path, "LD_LIBRARY_PATH": ":".join(filter(None, libraries))}


def find_server() -> Installed | None:
    """The server on the PATH, or that of NVIDIA's package."""
    found = shutil.which("tritonserver")
    if found:
        binary = Path(found).resolve()
        return Installed(binary, None, binary.parent.parent / "backends", None)
    package = importlib.util.find_spec("pytriton")
    if package is None or package.origin is None:
        return None
    home = Path(package.origin).parent
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Installed(
        home / "tritonserver" / "bin" / "tritonserver",
        home.parent / "nvidia_pytriton.libs",
        home / "tritonserver" / "backends",
        home / "tritonserver" / "python_backend_stubs" / version / "triton_python_backend_stub",
    )


def gather_backends(server: Installed, folder: Path) -> Path | str:
    """The server's backends, with a stand-in for ONNX Runtime's if it has none.

    Args:
        server: the server.
        folder: an empty one, for them.

    Returns:
        The folder with them, or what is missing.
    """
    if (server.backends / "onnxruntime").is_dir():
        return server.backends
    if server.stub is not None and not server.stub.is_file():
        return f"nvidia-pytriton brings no {server.stub}"
    shutil.copytree(server.backends / "python", folder / "python")
    stub = folder / "python" / "triton_python_backend_stub"
    if server.stub is not None:
        shutil.copy(server.stub, stub)
    stub.chmod(0o755)
    linked = subprocess.run(
        ["ldd", stub], env=server.environment, capture_output=True, text=True, check=True
    )
    if missing := re.findall(r"(\S+) => not found", linked.stdout):
        return f"the python backend of {server.binary} needs {', '.join(missing)}"
    (folder / "onnxruntime").mkdir()
    shutil.copy(STAND_IN, folder / "onnxruntime" / "model.py")
    return folder


@dataclass(frozen=True)
class Running:
    """A server that is ready.

    Attributes:
        http: its address, as a URL.
        grpc: its address.
        log: what it says.
    """

    http: str
    grpc: str
    log: Path


@contextlib.contextmanager
def serving(
    server: Installed, backends: Path, repository: Path, log: Path, *more: str
) -> Iterator[Running]:
    """Serve a repository until the block ends.

    Raises:
        RuntimeError: a model does not load; the message is the server's log.
    """
    http, grpc = _free_ports(2)
    command = [
        *(str(server.binary), "--model-repository", str(repository)),
        *("--backend-directory", str(backends), "--allow-metrics", "false"),
        *("--http-address", "127.0.0.1", "--http-port", str(http)),
        *("--grpc-address", "127.0.0.1", "--grpc-port", str(grpc), *more),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=server.environment, stdout=out, stderr=out)
    running = Running(f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}", log)
    try:
        _wait_for(running, process)
        yield running
    finally:
        process.terminate()
        process.wait(SECONDS)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_for(running: Running, process: subprocess.Popen[bytes]) -> None:
    for _ in range(10 * SECONDS):
        if process.poll() is not None:
            break
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"{running.http}/v2/health/ready"),  # noqa: S310
        ):
            return
        time.sleep(0.1)
    raise RuntimeError(running.log.read_text(errors="replace"))
