"""ONNX graphs as ncnn's layers, and ncnn's two files."""
