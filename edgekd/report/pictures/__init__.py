"""The pictures of a report, each with its numbers as a table; one a module."""
