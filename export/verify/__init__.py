"""Comparison of converted files with the float32 original on real images."""
