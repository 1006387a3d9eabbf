"""What a study asks for: models, steps, limits, groups, metrics by component, the published study.

Belongs here: reading a checked config. Not here: checking it or planning jobs (`run`).
"""
