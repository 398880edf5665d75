"""Structured pruning: which channels go (`methods`), the graph that couples them, and the process that does it."""
