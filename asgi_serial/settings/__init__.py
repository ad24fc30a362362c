"""Settings, the parsing of their values, and the policies of routes."""
