"""Timing of routes: histograms, the recorder, and its reports."""
