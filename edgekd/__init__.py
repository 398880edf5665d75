"""edgekd: compress a trained CNN until it measurably fits a device."""

__version__ = "0.1.0"
