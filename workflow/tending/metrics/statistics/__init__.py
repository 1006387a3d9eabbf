"""Uncertainty and association: intervals, means over replicates, correlations, settling times.

Belongs here: a statistical method on plain arrays, with its assumptions and source. Not here: the
tables that apply it to a study (`stages`).
"""
