"""Where the course of a training can be followed: one tool a module."""
