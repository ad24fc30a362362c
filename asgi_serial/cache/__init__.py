"""Stored responses: their keys, entries and purges, and the levels that hold them."""
