"""Export: the network as a file that a runtime opens, proven to be the same function."""
