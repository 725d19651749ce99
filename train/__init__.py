"""Training: networks, losses, targets, data, metrics and the loop (extra ``train``)."""
