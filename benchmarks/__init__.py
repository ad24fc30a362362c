"""Measurements of asgi_serial against a bare app and its peers; run `python -m benchmarks`."""
