"""An engine that takes a known time, and reads the time and number in each picture it is given."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import time_strip
from edgecount import Backend, Manifest


@dataclass(frozen=True)
class Run:
    """A run of the engine on one picture of a test camera.

    Attributes:
        began: when, by the monotonic clock.
        took: seconds.
        age: seconds that have passed at its end since the camera drew the picture.
        number: the camera's number of the picture.
    """

    began: float
    took: float
    age: float
    number: int


class TimedBackend(Backend):
    """A backend that sees nobody, sleeps, and notes how old the pictures are that it is given.

    Args:
        seconds: how long it sleeps.

    Attributes:
        runs: what was noted, a run per picture with a strip.
    """

    name = "timed"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.runs: list[Run] = []
        self._manifest: Manifest | None = None

    def prepare(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def infer(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        began = time.monotonic()
        assert self._manifest is not None
        spec = self._manifest.input
        images = inputs[spec.name]
        time.sleep(self.seconds)
        for image in images:
            green = image[1] / spec.scale[1] + spec.mean[1]
            found = time_strip.read(lambda x, y: float(green[y, x]), image.shape[2])  # noqa: B023
            if found is not None:
                took = time.monotonic() - began
                self.runs.append(Run(began, took, time_strip.age_of(found[0]), found[1]))
        return {
            output.name: np.zeros(
                (
                    len(images),
                    2 if output.role == "offset" else 1,
                    images.shape[2] // output.stride,
                    images.shape[3] // output.stride,
                ),
                np.float32,
            )
            for output in self._manifest.outputs
        }

    def close(self) -> None:
        """Do nothing: there is nothing to free."""
