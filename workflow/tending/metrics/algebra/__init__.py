"""Dense linear algebra in float64: eigenvalues, singular values, factors of products.

Belongs here: routines that take and return arrays and know nothing of models. Not here: metrics,
which are one file each in `metrics.similarity` and its neighbours.
"""
