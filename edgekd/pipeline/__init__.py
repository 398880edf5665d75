"""The verbs: one module each, a plain function from values to values."""
