"""The frameworks' own test suites, run bare and with the middleware around every app."""
