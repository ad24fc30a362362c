"""The second level of the cache: a byte store outside the process."""
