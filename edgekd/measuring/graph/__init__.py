"""What a graph consists of: layers, their precisions, parameters and multiply-accumulates."""
