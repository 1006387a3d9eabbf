"""Similarity of a checkpoint's activations to the reference's, and the settling of layers.

Belongs here: scores with intervals and nulls, their rows, stabilisation brackets, dependence on the
number of sequences. Not here: the similarities themselves (`metrics.similarity`).
"""
