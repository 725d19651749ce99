"""Packages that labelling needs."""

import subprocess
import sys

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "scipy", "h5py", "onnx", "onnxruntime", "lightning",
                                      "lightning_fabric", "safetensors", "matplotlib", "yaml",
                                      "paho", "prometheus_client", "ruamel", "urllib3",
                                      "websockets"}:
            raise ImportError(name)

sys.meta_path.insert(0, Missing())
from pathlib import Path
from edgecount.label import LabelServer

with LabelServer(Path(sys.argv[1]), port=0) as server:
    print(server.address)
print(*[name for name in sys.modules if name.startswith("edgecount.watch")])
"""


def test_it_runs_without_the_packages_of_training_and_of_cameras(folder):
    (folder / "labels.csv").write_text("image,x,y\na.jpg,1,2\n")
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    address, watch = done.stdout.splitlines()
    assert "/login?token=" in address
    assert watch == ""


def test_importing_it_loads_no_library_of_the_page():
    code = "import edgecount.label, sys; print({'starlette', 'uvicorn', 'cv2'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
