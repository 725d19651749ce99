"""The checks of `edgecount doctor`, a file per subject.

What they read lies under a `root`, so that tests can show them the files of other machines.
"""
