"""Data sets: images in fixed splits, and randomly augmented views for training."""
