"""Settings, the values they may have, and the policies of routes."""
