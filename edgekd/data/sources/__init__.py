"""Where data sets come from, one a module; `_base` says what a module provides."""
