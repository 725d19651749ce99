"""ONNX graphs: queries, unique names, and sessions that run them."""
