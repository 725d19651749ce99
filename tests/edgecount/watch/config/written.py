"""A config as people write it, for the tests of what a program changes in it."""

WRITTEN = """\
# What is watched
---
cameras:
    door:   # the door
        source: "rtsp://viewer:${PASSWORD}@h/s"   # its password is in the environment
        rate: 5.0
        regions: {hall: {polygon: [[0, 0], [0.5, 0],
                                   [0.5, 1.00]]}}   # half
        # The lines
        lines:
            entrance: {start: [0.5, 1], end: [0.5, 0]}
            # no more
        excluded:
        - [[0, 0], [0.1, 0], [0.1, 0.1]]  # the screen
        smooth:
    hall:
        source: 'rtsp://hall/s'
        title: |
            The hall
sinks: {}
"""
DOOR = ("cameras", "door")
