"""What a CI system reads of a verdict: one format a module."""
