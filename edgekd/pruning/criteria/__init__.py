"""Criteria: what goes first, channels, blocks or single weights; one a module, see `pruning.criteria._base`."""
