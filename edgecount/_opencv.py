"""OpenCV, whose window libraries a machine without a display may lack."""

from __future__ import annotations

from types import ModuleType

from edgecount.errors import EdgeCountError


def load_cv2() -> ModuleType:
    """Import OpenCV.

    Packages whose modules import cv2 at their head call this in their `__init__`, so that nobody
    meets the bare error.

    Raises:
        EdgeCountError: OpenCV cannot be loaded; the message says what to install.
    """
    try:
        import cv2
    except ImportError as error:
        raise EdgeCountError(
            f"OpenCV cannot be loaded ({error}), and files are decoded with it: "
            f"{loading_advice(str(error))}"
        ) from error
    return cv2


def loading_advice(error: str) -> str:
    """Return what helps against an ImportError of OpenCV."""
    if "multiarray" in error:
        return 'this OpenCV, such as apt\'s, is built for NumPy 1:  pip install "numpy<2"'
    # Servers and slim containers lack the window libraries that opencv-python links.
    return (
        "on a machine without a display run  apt install libgl1 libglib2.0-0  or  "
        "pip uninstall opencv-python && pip install opencv-python-headless"
    )
