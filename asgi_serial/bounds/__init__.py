"""Bounds on memory: what is remembered of clients, and held for them."""
