"""Pruning methods, one a module; `edgekd.pruning._base` says what a module provides."""
