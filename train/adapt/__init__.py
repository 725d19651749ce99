"""Fine-tuning of a deployed model on a few images of one's own camera."""

from edgecount.train.adapt.outcome import Adaptation, Intervals
from edgecount.train.adapt.run import FEWEST, adapt
from edgecount.train.adapt.source import open_trainable

__all__ = ["FEWEST", "Adaptation", "Intervals", "adapt", "open_trainable"]
