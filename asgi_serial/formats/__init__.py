"""Formats: JSON, MessagePack and pickle, and the translation between JSON and others."""
