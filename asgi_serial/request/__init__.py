"""Decisions about a request: its head, its client, its body, its plan."""
