"""The agent that runs on devices; `python <this folder>` starts it."""
