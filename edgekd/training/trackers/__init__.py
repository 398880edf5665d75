"""Experiment trackers, one per module."""
