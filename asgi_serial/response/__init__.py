"""The response on its way from the app to the client."""
