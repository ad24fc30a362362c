"""One small API in each framework, with the middleware added as the docs say.

Each module has `make(**settings)`, which returns the framework's own app and the app to serve, and
`SITE`, which says where the framework differs. Run one by `uvicorn tests.sites.quart_site:app`.
"""
