"""Device transports, one a module: `connect(where)` gives a device as `devices._base.Device` says."""
