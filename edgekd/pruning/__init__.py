"""Pruning: what can go and how important it is (`criteria`), what is removed (`apply`), and the process for it."""
