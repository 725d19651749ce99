"""Measurements of RAZ-Net's two ideas, on any network: two-stream fusion and zooming."""
