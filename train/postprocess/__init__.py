"""Postprocessing parameters fitted to held-out images: threshold, blend and interval."""
