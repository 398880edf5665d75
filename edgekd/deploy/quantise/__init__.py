"""INT8 of a float graph: its calibration, where pairs go for each runtime, and the graph with them."""
