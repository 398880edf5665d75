"""Searches, one per module (see `search._base`): they decide before training how much of each layer is pruned."""
