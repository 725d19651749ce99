"""Seconds of an alarm where none are given: in Python as in the config of a camera."""

ENTER = 5.0
"""With more people than it allows, before it is raised."""

LEAVE = 10.0
"""With few enough, before it is cleared."""

COOLDOWN = 60.0
"""After it was cleared, in which it is not raised again."""

STALE = 10.0
"""Without a count, after which its state is unknown."""
