"""Negotiation, compression, caching and timing of HTTP APIs in one ASGI pass."""
