"""Parts of `edgecount count`."""

from edgecount._opencv import load_cv2

load_cv2()  # before the modules that import it: its error says what to install
