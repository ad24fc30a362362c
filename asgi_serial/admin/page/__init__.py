"""The report as a page: HTML and SVG, complete without JavaScript."""
