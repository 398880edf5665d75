"""A folder with Python, glibc, numpy and ONNX Runtime for a device that has none of them: a phone, or a bare board.

Put together from Debian's packages and PyPI's wheels (`make`), kept in the user's cache, pushed once, and started there
by its own dynamic loader: nothing is installed on the device, and nothing of it is used but its kernel.
"""
