"""Stored responses: their keys, entries, and the levels that keep them."""
