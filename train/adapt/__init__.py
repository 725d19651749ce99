"""Fine-tuning of a deployed model on a few images of one's own camera."""

from edgecount.train.adapt.outcome import Adaptation, Intervals
from edgecount.train.adapt.run import FEWEST, adapt

__all__ = ["FEWEST", "Adaptation", "Intervals", "adapt"]
