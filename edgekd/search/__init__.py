"""Searches: how much is taken out of which layer, decided before training; one way a module, see `search._base`."""
