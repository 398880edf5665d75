"""Explicit INT8 for TensorRT: where Q/DQ pairs go, the ranges behind their scales, and the graph with them."""
