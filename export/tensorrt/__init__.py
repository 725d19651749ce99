"""TensorRT engines: options, build, records and verification."""
