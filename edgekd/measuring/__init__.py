"""Measuring artifacts on a device, and the statistics of what was measured."""
