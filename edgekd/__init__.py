"""edgekd: compress a trained CNN until it measurably fits a device."""

import os

__version__ = "0.1.0"

# before ONNX Runtime is imported, here and in child processes: it reports its use to Microsoft unless told not to
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
