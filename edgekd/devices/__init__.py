"""Devices: how to reach one, and the agent that runs there.

A device is written `transport:` or `transport://where`; each transport is a module of `transports/`.
"""
