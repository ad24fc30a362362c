"""Formats: what a representation of data is written in."""
