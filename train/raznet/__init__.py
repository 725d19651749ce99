"""RAZ-Net: zooming into ambiguous regions and two-stream fusion."""
