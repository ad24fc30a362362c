"""The rules of a shared cache applied to a request (RFC 9111)."""
