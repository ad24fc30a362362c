"""Bounds on the memory that clients can occupy."""
