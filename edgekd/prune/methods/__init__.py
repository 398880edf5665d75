"""Pruning methods, one a module; `edgekd.prune._base` says what a module provides."""
