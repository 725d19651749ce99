"""Importing edgecount is cheap and lazy, and its public names are what they say."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

import edgecount

HEAVY = ("cv2", "simplejpeg", "onnxruntime", "onnx", "torch", "PIL", "scipy", "tqdm", "click")


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_import_loads_the_standard_library_alone() -> None:
    """Modules that are not loaded take no time: importing edgecount stays far under 0.15 s."""
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import edgecount\n"
        "new = set(sys.modules) - before\n"
        "print(sorted(m for m in new if m.partition('.')[0] not in sys.stdlib_module_names))"
    )
    assert run_python(code) == "['edgecount']"


def test_public_names_load_no_engine_and_no_codec() -> None:
    code = (
        "import sys, edgecount\n"
        # draw_overlay draws with OpenCV
        "for name in set(edgecount.__all__) - {'draw_overlay'}: getattr(edgecount, name)\n"
        f"print([m for m in {HEAVY} if m in sys.modules])"
    )
    assert run_python(code) == "[]"


@pytest.mark.parametrize("name", edgecount.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(edgecount, name) is not None
    assert name in dir(edgecount)


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'EdgeCuonter'"):
        edgecount.EdgeCuonter  # noqa: B018


def test_version_is_that_of_the_package() -> None:
    assert edgecount.__version__ == version("edgecount")


def test_seams_have_a_face_in_their_folder() -> None:
    from edgecount.runtime import backends, sources

    assert issubclass(backends.DeviceBackend, edgecount.Backend)
    assert edgecount.Backend is backends.Backend
    assert edgecount.Frame is sources.Frame
    assert edgecount.Source is sources.Source
    assert edgecount.open_sources is sources.open_sources
