"""Distillation losses, one a module; `_base` says what a module provides."""
