"""The totals of several worker processes, in memory that they share."""
