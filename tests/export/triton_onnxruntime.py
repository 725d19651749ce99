"""ONNX Runtime as a python-based backend of Triton, for servers that come without the real one.

The server runs it as ``onnxruntime/model.py`` among its backends. It is as strict as the real
backend where that compares the configuration with the file, so that what loads here loads there.
Arrays come and go by DLPack: servers built for NumPy 1 misread the arrays of NumPy 2. The log then
complains of capsules' names, which does no harm.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton  # the server's own


class TritonPythonModel:
    """One instance of a model; the server names the class."""

    def initialize(self, args):
        config = json.loads(args["model_config"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        path = Path(triton.get_model_dir()) / config["default_model_filename"]
        self.session = onnxruntime.InferenceSession(path, options)
        (self.image,) = self.session.get_inputs()
        self.names = [output["name"] for output in config["output"]]
        self.batched = config["max_batch_size"] > 0
        stated = {t["name"]: t for t in (*config["input"], *config["output"])}
        for tensor in (self.image, *self.session.get_outputs()):
            self._compare(tensor, stated[tensor.name])

    def _compare(self, tensor, stated):
        shape = [side if isinstance(side, int) else -1 for side in tensor.shape]
        dims = [int(side) for side in stated["dims"]]
        if self.batched and shape[0] != -1:
            raise triton.TritonModelException(f"{tensor.name}: the batch of {shape} is fixed")
        dims = [-1, *dims] if self.batched else dims
        fits = len(shape) == len(dims) and all(
            ours in (-1, theirs) for ours, theirs in zip(shape, dims, strict=True)
        )
        if not fits or stated["data_type"] != "TYPE_FP32":
            raise triton.TritonModelException(f"{tensor.name} is {shape}, {stated} was stated")

    def execute(self, requests):
        """Answer the requests that the server has gathered, with one run where it may."""
        images = [
            np.from_dlpack(triton.get_input_tensor_by_name(request, self.image.name))
            for request in requests
        ]
        if not self.batched:
            return [self._answer(self._run(image)) for image in images]
        maps = self._run(np.concatenate(images))
        ends = np.cumsum([len(image) for image in images])[:-1]
        parts = zip(*(np.split(values, ends) for values in maps), strict=True)
        return [self._answer(part) for part in parts]

    def _run(self, image):
        return self.session.run(self.names, {self.image.name: image})

    def _answer(self, maps):
        tensors = [
            triton.Tensor.from_dlpack(name, np.ascontiguousarray(values))
            for name, values in zip(self.names, maps, strict=True)
        ]
        return triton.InferenceResponse(tensors)
