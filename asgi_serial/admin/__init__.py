"""The endpoints for operators: the timing report and purges."""
