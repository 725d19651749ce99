"""The shell around the commands: lazy loading, progress, signals."""
