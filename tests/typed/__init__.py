"""Code that type checkers read and nobody runs: how users add the middleware, by framework."""
