"""Images as a given file takes them. What needs no PyTorch imports none."""
