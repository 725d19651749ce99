"""Where a float32 graph comes from: a checkpoint, an ONNX file, or another program's."""
