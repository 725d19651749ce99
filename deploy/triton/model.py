"""The two steps around a network on Triton Inference Server: what `add_counting.py` lets it run.

The server's python backend loads this file once for each step; the parameter "step" of the model's
config.pbtxt says which it is. Both need edgecount in the server's Python (see Dockerfile).
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import triton_python_backend_utils as triton  # the server's own

from edgecount.errors import EdgeCountError
from edgecount.manifest import Manifest
from edgecount.runtime.pipeline.postprocess import RegionMasks, check_outputs, count_outputs
from edgecount.runtime.pipeline.preprocess import input_geometry, write_input


def in_order(array):
    """Return an array in C order, with the strides of that order also where it is empty.

    NumPy gives an empty array strides of 0, which the server refuses as those of another order.
    """
    array = np.ascontiguousarray(array)
    if array.size:
        return array
    strides = [array.itemsize]
    for side in reversed(array.shape[1:]):
        strides.insert(0, strides[0] * side)
    return np.lib.stride_tricks.as_strided(array, strides=strides)


class Step:
    """A step: arrays by name from arrays by name.

    Attributes:
        inputs: names of the tensors that it takes.
    """

    inputs: tuple[str, ...]

    def __init__(self, parameters):
        self.manifest = Manifest.from_json(parameters["edgecount_manifest"])
        self._max_side = int(parameters["max_side"])
        limits = json.loads(parameters["limits"])
        self._limits = None if limits is None else (tuple(limits[0]), tuple(limits[1]))

    def geometry(self, height, width):
        """Return how a frame of this size becomes the network's input."""
        spec = self.manifest.input
        return input_geometry((int(width), int(height)), spec, self._max_side, self._limits)


class Preprocess(Step):
    """From a frame, uint8 (H, W, 3) BGR, to the network's input, and the frame's (H, W)."""

    inputs = ("frame",)

    def __init__(self, parameters):
        super().__init__(parameters)
        self._type = np.dtype(parameters["image_type"])

    def run(self, frame):
        """Resize, normalise and pad the frame."""
        if frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
            raise ValueError(f"frame: expected uint8 (H, W, 3) BGR, got {frame.shape}")
        geometry = self.geometry(*frame.shape[:2])
        image = np.empty((1, 3, *geometry.padded), np.float32)
        write_input(frame, geometry.resized, self.manifest.input, image)
        return {
            "image": image.astype(self._type, copy=False),
            "size": np.array(frame.shape[:2], np.int32),
        }


class Postprocess(Step):
    """From the network's maps and the frame's (H, W) to the count and where the people are."""

    def __init__(self, parameters):
        super().__init__(parameters)
        self._names = [output.name for output in self.manifest.outputs]
        # Names of their own: a result may be called as a map is.
        self.inputs = ("size", *(f"map_{name}" for name in self._names))

    def _is_as_measured(self, geometry):
        """Return whether the frame is as large in the network as where the interval was fitted."""
        # One size for all frames is the file's, and not what the model was measured at.
        spec = replace(self.manifest.input, static_size=None)
        return geometry.resized == input_geometry(geometry.size, spec, spec.max_side).resized

    def run(self, size, *maps):
        """Count the people; coordinates are pixels of the frame."""
        geometry = self.geometry(*size)
        outputs = dict(zip(self._names, maps, strict=True))
        check_outputs(outputs, self.manifest, *geometry.padded)
        threshold = self.manifest.postprocess.threshold
        found = count_outputs(
            outputs, self.manifest, geometry, RegionMasks(()), threshold=threshold, capacity=0
        )
        interval = found.interval if self._is_as_measured(geometry) else None
        return {
            "count": np.array([found.count], np.float32),
            "interval": np.array(interval or (np.nan, np.nan), np.float32),
            "points": found.points,
            "boxes": found.boxes,
            "density": found.density,
        }


class TritonPythonModel:
    """A step as the server calls it, which names this class and its methods."""

    def initialize(self, args):
        """Read the parameters of config.pbtxt."""
        config = json.loads(args["model_config"])
        values = {name: found["string_value"] for name, found in config["parameters"].items()}
        self._step = {"preprocess": Preprocess, "postprocess": Postprocess}[values["step"]](values)

    def execute(self, requests):
        """Answer requests, each with one frame or the maps of one."""
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        # Arrays come and go by DLPack: servers built for NumPy 1 misread the arrays of NumPy 2. In
        # the shared memory they may lie at any byte, where the kernels take no floats.
        given = [
            np.require(
                np.from_dlpack(triton.get_input_tensor_by_name(request, name)), requirements="A"
            )
            for name in self._step.inputs
        ]
        try:
            found = self._step.run(*given)
        except (EdgeCountError, ValueError) as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        wanted = request.requested_output_names()
        return triton.InferenceResponse(
            [
                triton.Tensor.from_dlpack(name, in_order(array))
                for name, array in found.items()
                if name in wanted
            ]
        )
