"""Assignment of a detector's predictions to heads: anchors in one file, cells in another."""
