"""Training in stages on a machine that is free for hours at a time: start, stop, resume."""
