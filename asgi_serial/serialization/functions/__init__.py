"""Cached functions: their keys, their calls, and the values that they share."""
