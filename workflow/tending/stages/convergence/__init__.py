"""Similarity of a checkpoint's activations with the reference's, and when layers settle.

Belongs here: scores with intervals and nulls, their rows, stabilisation brackets, dependence on the
number of sequences. Not here: the similarities themselves (`metrics.similarity`).
"""
