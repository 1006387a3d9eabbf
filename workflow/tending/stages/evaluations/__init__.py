"""Benchmark scores of checkpoints from outside: reading, matching to steps, rows."""
