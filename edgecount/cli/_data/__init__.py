"""The part of commands that read annotated images."""
