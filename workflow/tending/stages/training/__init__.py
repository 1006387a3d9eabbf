"""Training of the embedded suite, and the order of its data."""
