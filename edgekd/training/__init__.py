"""Training: the engine, its schedule and checkpoints, and the losses that a student learns by."""
