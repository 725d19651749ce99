"""Analytics of crowds over time, from results alone.

Occupancy of regions, smoothing, lines, stays and queues, alarms, the ground in view, the picture
itself, privacy. Nothing here opens a camera or a file. Times are seconds of any clock that only
goes forward, such as `Frame.time` or `time.monotonic`; every setting is in seconds too, and means
the same at one frame a second and at thirty.
"""

from edgecount.analytics.alarm import Alarm, AlarmEvent, AlarmMemory, AlarmRule, AlarmState
from edgecount.analytics.anchor import Anchor
from edgecount.analytics.areas import RegionAreas
from edgecount.analytics.dwell import MeanStay, StayReport, Stays
from edgecount.analytics.exclusion import Exclusion
from edgecount.analytics.ground import GroundPlane, level_of_service
from edgecount.analytics.line import Line, parse_line
from edgecount.analytics.lines import LineCount, LineCounter
from edgecount.analytics.motion import CameraMotion
from edgecount.analytics.occupancy import Occupancy
from edgecount.analytics.picture import PictureCheck, PictureReport, PictureState
from edgecount.analytics.privacy import pixelate
from edgecount.analytics.queue import Queue, QueueReport
from edgecount.analytics.rectangle import GroundRectangle, parse_ground
from edgecount.analytics.smoothing import SmoothCount, Smoother

__all__ = [
    "Alarm",
    "AlarmEvent",
    "AlarmMemory",
    "AlarmRule",
    "AlarmState",
    "Anchor",
    "CameraMotion",
    "Exclusion",
    "GroundPlane",
    "GroundRectangle",
    "Line",
    "LineCount",
    "LineCounter",
    "MeanStay",
    "Occupancy",
    "PictureCheck",
    "PictureReport",
    "PictureState",
    "Queue",
    "QueueReport",
    "RegionAreas",
    "SmoothCount",
    "Smoother",
    "StayReport",
    "Stays",
    "level_of_service",
    "parse_ground",
    "parse_line",
    "pixelate",
]
