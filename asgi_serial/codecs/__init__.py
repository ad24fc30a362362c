"""Content codings: how the bytes of a representation are compressed."""
