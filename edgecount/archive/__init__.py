"""Archives: a million images, counted by any number of processes on any number of machines."""

FORMATS = ("parquet", "jsonl")
"""Formats of a table's files."""
