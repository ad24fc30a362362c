"""Endpoints for operators: the timing report and purging."""
