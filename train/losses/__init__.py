"""Losses: means over a batch's images of something normalised within the image."""
