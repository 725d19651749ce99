"""Analytics of crowds over time, from results alone.

Smoothing, lines, stays, alarms, the ground in view, the picture itself, privacy. Nothing here
opens a camera or a file. Times are seconds of any clock that only goes forward, such as
`Frame.time` or `time.monotonic`; every setting is in seconds too, and means the same at one frame
a second and at thirty.
"""

from edgecount.analytics.alarm import Alarm, AlarmEvent, AlarmRule, AlarmState
from edgecount.analytics.dwell import MeanStay, StayReport, Stays
from edgecount.analytics.ground import GroundPlane, level_of_service
from edgecount.analytics.lines import Anchor, Line, LineCount, LineCounter
from edgecount.analytics.picture import PictureCheck, PictureReport, PictureState
from edgecount.analytics.privacy import pixelate
from edgecount.analytics.smoothing import SmoothCount, Smoother

__all__ = [
    "Alarm",
    "AlarmEvent",
    "AlarmRule",
    "AlarmState",
    "Anchor",
    "GroundPlane",
    "Line",
    "LineCount",
    "LineCounter",
    "MeanStay",
    "PictureCheck",
    "PictureReport",
    "PictureState",
    "SmoothCount",
    "Smoother",
    "StayReport",
    "Stays",
    "level_of_service",
    "pixelate",
]
