"""Data sets: images in fixed splits, and the randomly augmented views that training sees."""
