"""Quantisation: calibration ranges → explicit Q/DQ. One writer module a runtime family."""
