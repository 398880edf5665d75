"""What an app on a phone takes instead of an ONNX file: ONNX Runtime's own format, and what its build must contain."""
