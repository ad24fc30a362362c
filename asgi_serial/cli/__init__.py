"""The demonstration API."""
