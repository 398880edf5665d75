"""The gate: judges a budget on a measurement."""
