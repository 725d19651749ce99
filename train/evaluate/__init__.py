"""Evaluation: counting and localisation metrics of a model on annotated images."""
