"""Model files on the disk: ONNX files, engines, and the folders that hold them."""
