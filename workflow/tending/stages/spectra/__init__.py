"""Singular values of weights by component: computation, file, rows."""
