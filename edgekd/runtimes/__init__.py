"""Runtimes: how to open an artifact and run it. One module each, named as in `Variant.runtime`."""
