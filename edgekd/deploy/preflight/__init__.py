"""Checks an ONNX file for TensorRT before a device builds an engine from it: static rules, then NVIDIA's own parser."""
