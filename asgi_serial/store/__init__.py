"""The second level of the cache: bytes outside the process."""
