"""Activations and held-out losses of one checkpoint, from one forward pass.

Belongs here: hooks, batching, early exit, the arrays that are written. Not here: comparing
checkpoints (`stages.convergence`).
"""
