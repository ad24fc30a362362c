"""The names of routes, by framework."""
