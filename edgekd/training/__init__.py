"""Training: the engine, its schedule and checkpoints, and the losses."""
