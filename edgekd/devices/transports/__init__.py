"""Device transports, one a module: `connect(where)` gives a connection as `_base.Connection` says."""
