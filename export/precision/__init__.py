"""FP16 and INT8: calibration, conversion, and the nodes that must stay in float32."""
