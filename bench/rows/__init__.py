"""Rows of the benchmark, one file per kind of work; see bench/README.md."""
