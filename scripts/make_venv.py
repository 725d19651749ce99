"""Make the virtual environment that a make target needs; does nothing when it is there already.

    python3 scripts/make_venv.py --venv .venv --extra cpu

The package is installed editable: Python files take effect at once, and a change of the C++
sources or of pyproject.toml is built by the next run. Developers build the CUDA part wherever there
is nvcc, so that it keeps compiling (EDGECOUNT_CUDA=OFF leaves it out). Runs on old Python 3 too, to
say so.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 10)
INCLUDED = {"dev": ["cpu"]}  # extras that an extra brings along
TAKES = {
    "cpu": "a minute or two",
    "dev": "a few minutes: PyTorch is large",
    "ray": "a minute or two: Ray is large",
}
CUDA = "EDGECOUNT_CUDA"  # read by CMakeLists.txt


def main() -> None:
    """Parse the options and bring the environment up to date."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--extra", choices=sorted(TAKES), required=True)
    parser.add_argument("--exact", action="store_true", help="insist on this Python's version")
    options = parser.parse_args()
    make_environment(options.venv, options.exact)
    install(options.venv, options.extra)


def make_environment(venv: Path, exact: bool) -> None:
    """Create the environment unless it is there, and check its Python's version."""
    python = venv / "bin" / "python"
    if not python.exists():
        check_version(sys.executable, sys.version_info[:2])
        print(f"== making a virtual environment in {shown(venv)}", flush=True)
        if subprocess.run([sys.executable, "-m", "venv", str(venv)], check=False).returncode:
            shutil.rmtree(venv, ignore_errors=True)
            fail(
                "this Python cannot make virtual environments; on Debian and Ubuntu install "
                "python3-venv:  sudo apt install python3-venv"
            )
        return
    code = "import sys; print(*sys.version_info[:2])"
    answer = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, check=False)
    if answer.returncode:
        fail(f"{shown(venv)} holds a Python that does not start: run  make clean")
    version = tuple(int(part) for part in answer.stdout.split())
    check_version(str(python), version)
    if exact and version != sys.version_info[:2]:
        fail(
            f"{shown(venv)} has Python {dotted(version)} and you ask for "
            f"{dotted(sys.version_info[:2])}: run  make clean  first, or choose another folder "
            "with VENV=..."
        )


def install(venv: Path, extra: str) -> None:
    """Install the package with an extra, unless the stamp says that this was done."""
    stamp = venv / "edgecount-installed.json"
    done = json.loads(stamp.read_text()) if stamp.is_file() else {}
    inputs = fingerprint()
    cuda = wanted_cuda(extra)
    current = done.get("inputs") == inputs and (cuda != "ON" or done.get("cuda") == "ON")
    extras = done.get("extras", []) if current else []
    if extra in extras:
        return
    print(f"== installing edgecount[{extra}] into {shown(venv)} ({TAKES[extra]})", flush=True)
    pip = [str(venv / "bin" / "python"), "-m", "pip", "install"]
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    if current:  # only the extra's packages are missing: no need to compile again
        target = [f"edgecount[{extra}]"]
    else:
        check_build_tools(venv / "bin" / "python")
        target = ["--editable", f"{ROOT}[{extra}]"]
        parts = "C++ and CUDA parts" if cuda == "ON" else "C++ part"
        print(
            f"== pip compiles the {parts} meanwhile, and says nothing until it is done", flush=True
        )
    env = {**os.environ, CUDA: cuda}
    if subprocess.run([*pip, *constraints, *target], check=False, env=env).returncode:
        fail("pip could not install edgecount; the reason stands above")
    everything = sorted({*extras, extra, *INCLUDED.get(extra, [])})
    built = done.get("cuda") if current else cuda
    stamp.write_text(json.dumps({"inputs": inputs, "extras": everything, "cuda": built}))


def wanted_cuda(extra: str) -> str:
    """Return what CMake is told of the CUDA part: the user's word, or ON for tests with nvcc."""
    said = os.environ.get(CUDA)
    if said:
        return said
    has_nvcc = bool(os.environ.get("CUDACXX") or shutil.which("nvcc"))
    return "ON" if extra == "dev" and has_nvcc else "AUTO"


def fingerprint() -> str:
    """Hash all files that call for another install when they change."""
    files = [ROOT / name for name in ("pyproject.toml", "constraints.txt", "CMakeLists.txt")]
    files += sorted(path for path in (ROOT / "cpp_ext").rglob("*") if path.is_file())
    # An editable install learns of new packages only when it is made anew; of new files at once.
    folders = [ROOT / name for name in ("edgecount", "runtime", "export", "train")]
    packages = sorted(path for folder in folders for path in folder.rglob("__init__.py"))
    digest = hashlib.sha256()
    for path in [*files, *packages]:
        digest.update(f"{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes() if path in files else b"")
    return digest.hexdigest()


def check_version(python: str, version: tuple) -> None:
    """Refuse a Python that is too old, before pip does so less clearly."""
    if version < OLDEST:
        fail(
            f"edgecount needs Python {dotted(OLDEST)} or newer and {python} is "
            f"{dotted(version)}: choose another, such as  make PYTHON=python3.12 demo"
        )


def check_build_tools(python: Path) -> None:
    """Refuse to go on without a C++ compiler or Python's headers."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    if not any(shutil.which(candidate.split()[0]) for candidate in candidates):
        fail(
            f"no C++ compiler found (looked for {', '.join(candidates)}): install one (on Debian "
            "and Ubuntu  sudo apt install g++), or name yours in CXX"
        )
    code = "import sysconfig; print(sysconfig.get_path('include'))"
    answer = subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, check=False)
    folder = Path(answer.stdout.decode().strip())
    if not (folder / "Python.h").is_file():
        fail(
            f"the C headers of this Python are missing ({folder / 'Python.h'}): install them (on "
            "Debian and Ubuntu  sudo apt install python3-dev)"
        )


def dotted(version: tuple) -> str:
    """Return "3.10" for (3, 10)."""
    return ".".join(str(part) for part in version)


def shown(path: Path) -> str:
    """Return a path as the user would type it."""
    return os.path.relpath(path)


def fail(message: str) -> None:
    """Stop make with a clear line."""
    sys.exit(f"edgecount: error: {message}")


if __name__ == "__main__":
    main()
