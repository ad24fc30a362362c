"""Advice on settings, from the figures that prove it."""
