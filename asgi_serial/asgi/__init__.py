"""The shell around each request: everything that awaits."""
