"""How each framework names the route that served a request."""
