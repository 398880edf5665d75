"""Devices: transports that connect to them, and the agent that runs on them.

A device URL is `transport:` or `transport://where`; each transport is a module in `transports/`.
"""
