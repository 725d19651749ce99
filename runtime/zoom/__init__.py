"""Recurrent zooming: dense regions of a frame are enlarged and searched again (RAZ-Net)."""
