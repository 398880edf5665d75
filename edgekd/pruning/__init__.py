"""Pruning: what can go and how important it is (`criteria`), what is taken out (`apply`), and the process for it."""
