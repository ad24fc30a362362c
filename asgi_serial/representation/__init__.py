"""Representations of a response: formats, codings, tags and fields."""
