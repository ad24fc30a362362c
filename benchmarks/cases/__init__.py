"""What is measured: a function for each figure, gathered in the table."""
