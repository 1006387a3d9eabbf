"""The contents of a study: models, steps, limits, groups, metrics by component, published values.

Belongs here: reading a checked config. Not here: checking it or planning jobs (`run`).
"""
