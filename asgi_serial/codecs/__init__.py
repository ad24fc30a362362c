"""Content codings: the compression of representations."""
