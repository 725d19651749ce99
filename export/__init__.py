"""Files for deployment, made from a checkpoint (extra ``export``) or an ONNX (``engine``)."""
