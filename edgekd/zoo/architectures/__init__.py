"""Built-in architectures for small images, one family a module; `_base` says what a module provides."""
