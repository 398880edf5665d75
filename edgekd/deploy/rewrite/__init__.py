"""Float graphs rewritten into equal ones that a runtime's kernels compute faster."""
