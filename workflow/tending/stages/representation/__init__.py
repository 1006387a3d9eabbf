"""Measures of one checkpoint's activations alone: settings, computation, file."""
