"""Runtimes, which open and run artifacts. One module each, named as in `Variant.runtime`."""
