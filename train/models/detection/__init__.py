"""One-stage detectors of head boxes, each in a file, on what they share."""
