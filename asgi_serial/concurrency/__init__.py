"""Event loops, threads and cancellation."""
