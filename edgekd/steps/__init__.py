"""The steps of a recipe, one per module."""
