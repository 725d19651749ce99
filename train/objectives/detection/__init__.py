"""The objective of detectors, and each network's rule: its heads' places, its loss of boxes."""

from edgecount.train.objectives.detection.objective import DetectionObjective

__all__ = ["DetectionObjective"]
