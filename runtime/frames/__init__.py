"""Frames: images read, checked, and taken from their producers."""
