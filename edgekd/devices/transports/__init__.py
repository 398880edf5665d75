"""Device transports, one per module: `connect(where)` returns a `_base.Connection`."""
