"""Benchmarks against the alternatives that a user would run instead; see `make bench`."""
