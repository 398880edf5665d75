"""A given ONNX file: what variants can't be made of, and the graph that they are made of."""
